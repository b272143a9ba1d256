"""Traces in Parquet files."""

import json
import sys
import warnings

import numpy as np
import pytest

import routesig as rs
from support import changed, random_traces, with_column, with_metadata

pa = pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

HEADER = {
    "kind": "header",
    "format": "routesig-trace",
    "version": 1,
    "routing": {"layers": 2, "experts": 300, "top_k": 2, "model_layers": [1, 3], "ranked": True, "renormalized": True},
    "model": {"name": "tiny", "sha256": "ab", "dtype": "bfloat16"},
    "tokenizer": {"sha256": "cd"},
    "settings": {"seed": 0},
    "prompts": {"count": 4, "sha256": "ef"},
    "routesig": rs.__version__,
}
# All that a trace file can say: unknown layers and ids, impossible rows, weights that are not finite, prompts without
# tokens, task, weights or token ids; numbers of fields as they are written.
LINES = """\
{"kind":"prompt","id":"a","task":"code","text":"\u00e9\\"\\n","group":"g","fields":{"n":[1, 2.00]},"prompt_tokens":1}
{"kind":"token","prompt":"a","position":0,"type":"prompt","token":7,"experts":[[3,299],null],"weights":[[0.5,0.1],[null,null]]}
{"kind":"token","prompt":"a","position":1,"type":"generation","token":0,"experts":[[5,5],[-1,400]],"weights":[[1e-05,0],[1,0.33333334]]}
{"kind":"prompt_end","id":"a","tokens":2,"token_texts":["Hi","\u00fc\\u0000"],"nonfinite_rows":1}
{"kind":"prompt","id":"no tokens","prompt_tokens":0}
{"kind":"prompt_end","id":"no tokens","tokens":0}
{"kind":"prompt","id":"no weights","task":"math","prompt_tokens":1}
{"kind":"token","prompt":"no weights","position":9,"type":"prompt","token":2147483647,"experts":[[1,2],[3,4]]}
{"kind":"prompt_end","id":"no weights","tokens":1}
{"kind":"prompt","id":"no ids","task":"","group":"g","prompt_tokens":0}
{"kind":"token","prompt":"no ids","position":0,"type":"generation","experts":[[1,2],null],"weights":[[0.25,0.5],[0,0]]}
{"kind":"prompt_end","id":"no ids","tokens":1}
"""


@pytest.fixture
def traces(tmp_path):
    path = tmp_path / "all.jsonl"
    path.write_text(json.dumps(HEADER) + "\n" + LINES, encoding="utf-8")
    with pytest.warns(UserWarning, match="recovered 4 prompts"):
        return rs.read_traces(path, recover=True)


def test_everything_that_a_trace_file_says_comes_back(traces, tmp_path):
    traces.save(tmp_path / "t.parquet")
    again = rs.read_traces(tmp_path / "t.parquet")
    assert again == traces
    assert again.complete
    assert again.info == traces.info
    assert again.settings == {"seed": 0}
    assert again[0].fields == {"n": [1, 2.0]}
    assert [t.nonfinite_rows for t in again] == [1, 0, 0, 0]
    assert [t.weights is None for t in again] == [False, False, True, False]
    assert [t.token_ids is None for t in again] == [False, False, False, True]
    assert [t.token_texts for t in again] == [["Hi", "\u00fc\0"], None, None, None]
    assert again[0].valid.tolist() == [[True, True], [False, False]]


def test_jsonl_to_parquet_and_back_gives_the_same_bytes(traces, tmp_path):
    for number, one in enumerate((traces, random_traces(), random_traces(weights=False))):
        before, between, after = (tmp_path / f"{number}{end}" for end in (".jsonl", ".parquet", "-again.jsonl"))
        one.save(before)
        rs.read_traces(before).save(between)
        rs.read_traces(between).save(after)
        assert after.read_bytes() == before.read_bytes()


def test_the_same_traces_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        random_traces().save(tmp_path / f"{name}.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_any_parquet_reader_finds_one_row_a_token(traces, tmp_path):
    traces.save(tmp_path / "t.parquet")
    table = pq.read_table(tmp_path / "t.parquet")
    assert {field.name: str(field.type) for field in table.schema} == {
        "prompt": "dictionary<values=string, indices=int32, ordered=0>",
        "task": "dictionary<values=string, indices=int32, ordered=0>",
        "group": "dictionary<values=string, indices=int32, ordered=0>",
        "position": "int32",
        "type": "dictionary<values=string, indices=int32, ordered=0>",
        "token": "int32",
        "token_text": "string",
        "experts": "fixed_size_list<element: fixed_size_list<element: uint16>[2]>[2]",
        "weights": "fixed_size_list<element: fixed_size_list<element: float>[2]>[2]",
    }
    assert table["prompt"].to_pylist() == ["a", "a", "no weights", "no ids"]
    assert table["task"].to_pylist() == ["code", "code", "math", None]
    assert table["type"].to_pylist() == ["prompt", "generation", "prompt", "generation"]
    assert table["experts"][1].as_py() == [[5, 5], [65535, 400]]
    assert table["token"].to_pylist() == [7, 0, 2147483647, None]
    assert np.isnan(table["weights"][2].as_py()).all()
    assert json.loads(table.schema.metadata[b"routesig.header"]) == HEADER
    prompts = [json.loads(line) for line in table.schema.metadata[b"routesig.prompts"].splitlines()]
    assert [prompt["id"] for prompt in prompts] == traces.ids
    ends = json.loads(table.schema.metadata[b"routesig.prompt_ends"])
    assert ends[0] == {"id": "a", "tokens": 2, "nonfinite_rows": 1, "weights": True}
    assert [end["weights"] for end in ends] == [True, False, False, True]


def test_prompts_without_any_token_and_many_row_groups_come_back(tmp_path):
    nothing = rs.RoutingTrace.from_arrays(np.zeros((2, 0, 3), int), num_experts=8, id="nothing")
    ids = np.random.default_rng(0).integers(0, 8, (2, 70_000, 3), dtype=np.uint16)
    many = rs.RoutingTrace.from_arrays(ids, num_experts=8, id="many")
    for chosen in ([nothing], [nothing, many]):
        rs.TraceSet(chosen).save(tmp_path / "t.parquet")
        assert rs.read_traces(tmp_path / "t.parquet") == rs.TraceSet(chosen)
    assert pq.ParquetFile(tmp_path / "t.parquet").num_row_groups == 2


def test_rows_of_prompts_may_interleave(tmp_path):
    traces = random_traces()
    traces.save(tmp_path / "t.parquet")
    positions = np.concatenate([trace.positions for trace in traces])
    path = changed(tmp_path / "t.parquet", lambda table: table.take(np.argsort(positions, kind="stable")))
    assert rs.read_traces(path) == traces


def test_columns_that_are_not_known_are_ignored_with_a_warning(tmp_path):
    traces = random_traces()
    traces.save(tmp_path / "t.parquet")
    path = changed(tmp_path / "t.parquet", lambda t: t.append_column("mood", pa.array(["good"] * len(t))))
    with pytest.warns(UserWarning, match=r"changed\.parquet: column 'mood' is not known and was ignored") as heard:
        assert rs.read_traces(path) == traces
    assert heard[0].filename == __file__

    def more(table):
        for i in range(100):
            table = table.append_column(f"mood-{i}", pa.array(["good"] * len(table)))
        return table

    with pytest.warns(UserWarning, match="not known and w") as heard:
        rs.read_traces(changed(tmp_path / "t.parquet", more))
    assert len(heard) == 9
    assert str(heard[8].message).endswith("changed.parquet: 92 more columns are not known and were ignored")


def with_positions(traces, tmp_path, positions):
    """The file of `traces` with other positions of its first prompt."""
    traces.save(tmp_path / "t.parquet")

    def change(table):
        column = [*positions, *table["position"].to_pylist()[len(positions) :]]
        return with_column(table, "position", pa.array(column, pa.int32()))

    return changed(tmp_path / "t.parquet", change)


def test_positions_that_do_not_ascend_are_refused_or_the_earlier_tokens_dropped(tmp_path):
    traces = random_traces()  # the first has 10 tokens, 5 of the prompt
    path = with_positions(traces, tmp_path, [0, 1, 2, 3, 3, 5, 6, 7, 6, 7])
    with pytest.raises(
        rs.FormatError, match=r"positions that ascend, got 3 after 3 at token 4 \(prompt 'p0'; drop_inv"
    ):
        rs.read_traces(path)
    read = rs.read_traces(path, drop_invalid=True)
    kept = [0, 1, 2, 4, 5, 8, 9]
    assert read[0].positions.tolist() == [0, 1, 2, 3, 5, 6, 7]
    assert (read[0].experts == traces[0].experts[:, kept]).all()
    assert (read[0].weights == traces[0].weights[:, kept]).all()
    assert (read[0].token_ids == traces[0].token_ids[kept]).all()
    assert read[0].token_types.tolist() == [0] * 4 + [1] * 3
    assert (read[0].prompt_tokens, read[0].dropped_tokens, read.dropped_tokens) == (4, 3, 3)
    assert read[1:] == traces[1:]


def test_rows_with_weights_that_are_not_finite_are_read_as_unknown(tmp_path):
    """As a file of an earlier version holds them: ids that NaN chose."""
    traces = random_traces()
    traces.save(tmp_path / "t.parquet")

    def change(table):
        weights = np.array(table["weights"].to_pylist(), np.float32)
        weights[0, 1] = np.nan
        return with_column(table, "weights", pa.array(weights.tolist(), table["weights"].type))

    read = rs.read_traces(changed(tmp_path / "t.parquet", change))
    assert read[0].valid[:, 0].tolist() == [True, False, True]
    assert (read[0].nonfinite_rows, read[0].unknown_rows, read[1].unknown_rows) == (1, 1, 0)


DAMAGE = {
    "no header": (
        lambda t: with_metadata(t, header=None),
        "expected a Parquet file of traces, found a Parquet file of something else",
    ),
    "header of another format": (lambda t: with_metadata(t, header=b'{"kind":"header"}'), "expected a field"),
    "newer version": (
        lambda t: with_metadata(
            t, header=t.schema.metadata[b"routesig.header"].replace(b'"version":1', b'"version":2')
        ),
        "the schema's metadata, line 1: expected version 1 of the trace format, got 2",
    ),
    "no prompts": (lambda t: with_metadata(t, prompts=None), r"expected 'routesig\.prompts' in the schema's metadata"),
    "not one prompt": (lambda t: with_metadata(t, prompts=b""), "expected a header and prompt lines"),
    "events in the place of lines": (
        lambda t: with_metadata(
            t, header=b'{"prompt":"a","layer":0,"expert":1,"position":0,"type":"prompt"}', prompts=b""
        ),
        "expected a header and prompt lines",
    ),
    "broken prompt line": (lambda t: with_metadata(t, prompts=b"{}\n"), "metadata, line 2: expected a line of kind"),
    "unknown prompt": (
        lambda t: with_metadata(t, prompts=t.schema.metadata[b"routesig.prompts"].split(b"\n", 1)[1]),
        "expected prompts that the schema's metadata has, found 'p0' in column 'prompt'",
    ),
    "no ends": (lambda t: with_metadata(t, prompt_ends=None), r"parquet: expected 'routesig\.prompt_ends'"),
    "ends that are not JSON": (lambda t: with_metadata(t, prompt_ends=b"["), "expected JSON under"),
    "ends without end": (lambda t: with_metadata(t, prompt_ends=b"[" * 100_000), "expected JSON under"),
    "an end too few": (lambda t: with_metadata(t, prompt_ends=b"[]"), "expected an entry for each of the 6 prompts"),
    "ends of another kind": (lambda t: with_metadata(t, prompt_ends=b'"abcdef"'), "expected an entry for each"),
    "tokens that are no number": (
        lambda t: with_metadata(
            t,
            prompt_ends=t.schema.metadata[b"routesig.prompt_ends"].replace(b'"tokens":10,', b'"tokens":[1,2],'),
        ),
        r"expected \[1, 2\] tokens, found 10 \(prompt 'p0'\)",
    ),
    "rows left out": (lambda t: t.slice(1), r"expected 10 tokens, found 9 \(prompt 'p0'\)"),
    "rows given twice": (lambda t: pa.concat_tables([t, t]), "expected 10 tokens, found 20"),
    "impossible count": (
        lambda t: with_metadata(
            t,
            prompt_ends=t.schema.metadata[b"routesig.prompt_ends"].replace(
                b'"nonfinite_rows":0', b'"nonfinite_rows":-1'
            ),
        ),
        r"expected nonfinite_rows of 0 or more, found -1 \(prompt 'p0'\)",
    ),
    "no experts": (lambda t: t.drop_columns(["experts"]), "expected one column 'experts', found none"),
    "two columns of one name": (lambda t: t.append_column("type", t["type"]), "expected one column 'type', found 2"),
    "position as text": (
        lambda t: with_column(t, "position", t["position"].cast(pa.string())),
        "expected column 'position' as int32, found string",
    ),
    "experts of another type": (
        lambda t: with_column(t, "experts", t["experts"].cast(pa.list_(pa.list_(pa.int32(), 4), 3))),
        "expected column 'experts' as fixed_size_list.*uint16.*found fixed_size_list.*int32",
    ),
    "lists of another size": (
        lambda t: with_metadata(t, header=t.schema.metadata[b"routesig.header"].replace(b'"top_k":4', b'"top_k":5')),
        r"expected column 'experts' as .*\[5\].*found .*\[4\]",
    ),
    "another number of layers": (
        lambda t: with_metadata(t, header=t.schema.metadata[b"routesig.header"].replace(b'"layers":3', b'"layers":2')),
        r"expected column 'experts' as .*\[2\], found .*\[3\]",
    ),
    "position that is null": (
        lambda t: with_column(t, "position", pa.array([None, *t["position"].to_pylist()[1:]], pa.int32())),
        "expected column 'position' without nulls, found 1",
    ),
    "an expert that is null": (
        lambda t: with_column(
            t, "experts", pa.array([[[None, 1, 2, 3]] * 3, *t["experts"].to_pylist()[1:]], t["experts"].type)
        ),
        "expected lists without nulls, found 3 in them",
    ),
    "weights left out": (lambda t: t.drop_columns(["weights"]), "expected one column 'weights', found none"),
    "weights neither there nor not": (
        lambda t: with_metadata(
            t, prompt_ends=t.schema.metadata[b"routesig.prompt_ends"].replace(b'"weights":true', b'"weights":1')
        ),
        r"expected weights to be true or false in 'routesig\.prompt_ends', found 1 \(prompt 'p0'\)",
    ),
    "token ids of some tokens": (
        lambda t: with_column(t, "token", pa.array([None, *t["token"].to_pylist()[1:]], pa.int32())),
        "expected column 'token' on every row of prompt 'p0' or on none",
    ),
    "negative position": (
        lambda t: with_column(t, "position", pa.array([-1, *t["position"].to_pylist()[1:]], pa.int32())),
        "expected column 'position' of 0 or more, found -1",
    ),
    "unknown type": (
        lambda t: with_column(t, "type", pa.array(["answer"] * len(t)).dictionary_encode()),
        "expected column 'type' to be one of prompt, generation, found 'answer'",
    ),
    "another task": (
        lambda t: with_column(t, "task", pa.array(["math"] * len(t)).dictionary_encode()),
        "expected task 'code' of prompt 'p0', as the schema's metadata has it, found 'math'",
    ),
    "no group": (
        lambda t: with_column(t, "group", pa.array([None] * len(t), pa.string()).dictionary_encode()),
        "expected group 'g0' of prompt 'p0', as the schema's metadata has it, found None",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_a_trace_file_cannot_be_is_one_sentence(name, tmp_path):
    change, message = DAMAGE[name]
    random_traces().save(tmp_path / "t.parquet")
    path = changed(tmp_path / "t.parquet", change)
    with pytest.raises(rs.FormatError, match=message) as refused:
        rs.read_traces(path)
    assert str(refused.value).startswith(str(path))
    assert len(str(refused.value).splitlines()) == 1


def test_text_under_a_key_that_is_not_utf8_is_said(tmp_path):
    path = tmp_path / "t.parquet"
    random_traces(2).save(path)
    bad = changed(path, lambda table: with_metadata(table, header=b'{"kind":"\xff"}'))
    with pytest.raises(rs.FormatError) as error:
        rs.read_traces(bad)
    assert str(error.value).startswith(
        f"{bad}: expected UTF-8 under 'routesig.header' in the schema's metadata, found something else ("
    )


def test_files_of_other_kinds_are_named(tmp_path):
    traces = random_traces()
    traces.save(tmp_path / "t.parquet")
    rs.signatures(traces).save(tmp_path / "s.parquet")
    with pytest.raises(rs.FormatError, match=r"of traces, found one of signatures \(read_signatures\)"):
        rs.read_traces(tmp_path / "s.parquet")
    with pytest.raises(rs.FormatError, match=r"of signatures, found one of traces \(read_traces\)"):
        rs.read_signatures(tmp_path / "t.parquet")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "other.parquet")
    with pytest.raises(rs.FormatError, match="of traces, found a Parquet file of something else"):
        rs.read_traces(tmp_path / "other.parquet")
    traces.save(tmp_path / "t.jsonl")
    with pytest.raises(rs.FormatError, match="expected a whole Parquet file, found a damaged one"):
        rs.read_traces(tmp_path / "t.jsonl", format="parquet")
    with pytest.raises(FileNotFoundError):
        rs.read_traces(tmp_path / "absent.parquet")
    with pytest.raises(ValueError, match="expected format to be one of jsonl, parquet, got 'csv'"):
        rs.read_traces(tmp_path / "t.jsonl", format="csv")
    with pytest.raises(ValueError, match="read_traces: expected experts of 1 or more, got -5"):
        rs.read_traces(tmp_path / "t.jsonl", experts=-5)


def test_the_name_of_a_file_does_not_matter(tmp_path):
    random_traces().save(tmp_path / "t.parquet")
    (tmp_path / "t.parquet").rename(tmp_path / "t.jsonl")
    assert rs.read_traces(tmp_path / "t.jsonl") == random_traces()


def test_a_file_that_is_cut_short_or_damaged_is_a_format_error(tmp_path):
    random_traces().save(tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    bad = tmp_path / "bad.parquet"
    for size in range(4, len(whole), 257):
        bad.write_bytes(whole[:size])
        with pytest.raises(rs.FormatError, match=r"bad\.parquet: expected a whole Parquet file"):
            rs.read_traces(bad)
    pages = pq.ParquetFile(tmp_path / "t.parquet").metadata.row_group(0).column(8)
    for place in range(pages.data_page_offset + 60, pages.data_page_offset + pages.total_compressed_size, 101):
        bad.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(rs.FormatError, match="CRC checksum"):  # one bit of a weight
            rs.read_traces(bad)


@pytest.mark.parametrize("name", ["traces", "signatures"])
def test_any_damage_of_the_footer_is_a_format_error_or_changes_nothing(name, tmp_path):
    made = {"traces": random_traces(3), "signatures": rs.signatures(random_traces(3))}[name]
    read = {"traces": rs.read_traces, "signatures": rs.read_signatures}[name]
    made.save(tmp_path / "good.parquet")
    whole = (tmp_path / "good.parquet").read_bytes()
    length = int.from_bytes(whole[-8:-4], "little")
    random = np.random.default_rng(0)
    refused = 0
    for place in random.integers(len(whole) - 8 - length, len(whole), 400):
        bad = tmp_path / "bad.parquet"
        bad.write_bytes(whole[:place] + bytes([random.integers(256)]) + whole[place + 1 :])
        try:
            with warnings.catch_warnings(record=True) as notes:
                warnings.simplefilter("always")
                again = read(bad)
        except rs.FormatError:
            refused += 1
        else:  # where a column that may be absent has another name now, a warning says so
            assert again == made or any("is not known and was ignored" in str(note.message) for note in notes), place
    assert refused > 200


def test_a_changed_letter_of_the_metadata_is_found(traces, tmp_path):
    traces.save(tmp_path / "t.parquet")
    prompts = pq.read_schema(tmp_path / "t.parquet").metadata[b"routesig.prompts"]
    checksum = pq.read_schema(tmp_path / "t.parquet").metadata[b"routesig.crc32"]
    other = prompts.replace(b'"id":"no weights"', b'"id":"no-weights"')
    assert other != prompts
    bad = changed(tmp_path / "t.parquet", lambda table: with_metadata(table, prompts=other, crc32=checksum))
    with pytest.raises(rs.FormatError, match=r"changed\.parquet: expected metadata with the CRC-32 [0-9a-f]{8}, found"):
        rs.read_traces(bad)


def test_what_no_trace_file_can_say_is_refused_and_leaves_nothing_behind(tmp_path, monkeypatch):
    one, two = random_traces(1)[0], random_traces(1, seed=1)[0]
    with pytest.raises(ValueError, match='prompt id "p0" is given twice'):
        rs.TraceSet([one, two]).save(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="expected traces, got none"):
        rs.TraceSet().save(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"ends in \.jsonl or \.parquet"):
        rs.TraceSet([one]).save(tmp_path / "t.csv")
    assert list(tmp_path.iterdir()) == []
    rs.TraceSet([one]).save(tmp_path / "t.parquet")
    before = (tmp_path / "t.parquet").read_bytes()

    def full_disk(table, file, **options):
        file.write(b"PAR1")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full_disk)
    with pytest.raises(OSError, match="No space left"):
        rs.TraceSet([two]).save(tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_a_recording_streams_to_jsonl_only(tmp_path):
    with pytest.raises(ValueError, match=r"expected out to end in \.jsonl \(routesig convert makes it \.parquet\)"):
        rs.record(None, ["text"], out=tmp_path / "t.parquet")


def test_without_pyarrow_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    traces = random_traces()
    traces.save(tmp_path / "t.parquet")
    rs.signatures(traces).save(tmp_path / "s.parquet")
    for module in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, module, None)
    for use in (
        lambda: traces.save(tmp_path / "new.parquet"),
        lambda: rs.read_traces(tmp_path / "t.parquet"),
        lambda: rs.read_signatures(tmp_path / "s.parquet"),
        lambda: rs.signatures(traces).save(tmp_path / "new.parquet"),
    ):
        with pytest.raises(ImportError, match=r"need pyarrow: pip install pyarrow$"):
            use()
    assert not (tmp_path / "new.parquet").exists()
