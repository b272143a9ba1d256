"""Prompts: the shipped set and files of every kind."""

import csv
import json
from collections import Counter

import pytest

import routesig as rs


def test_the_shipped_prompts_are_twenty_a_task():
    prompts = rs.load_prompts()
    assert Counter(p.task for p in prompts) == {"code": 20, "math": 20, "story": 20, "factual": 20}
    assert len({p.id for p in prompts}) == len({p.text for p in prompts}) == 80
    assert all(p.group for p in prompts)


def test_jsonl_keeps_further_fields(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text(
        '{"id": "a", "task": "x", "text": "t\u00e9", "source": [1, {"b": null}]}\n\n{"id": "b", "text": "u"}\n'
    )
    first, second = rs.load_prompts(path)
    assert (first.task, first.text, first.fields) == ("x", "t\u00e9", {"source": [1, {"b": None}]})
    assert (second.task, second.group, second.fields) == (None, None, {})


def test_csv_and_txt(tmp_path):
    table = tmp_path / "p.csv"
    table.write_text('id,task,text,template\na,x,"two\nlines, one cell",t1\nb,,=1+1,\n')
    first, second = rs.load_prompts(table)
    assert (first.text, first.template, first.group) == ("two\nlines, one cell", "t1", "t1")
    assert (second.task, second.text, second.template) == (None, "=1+1", None)
    lines = tmp_path / "p.txt"
    lines.write_text("one\n\n two \r\n")
    assert [(p.id, p.text) for p in rs.load_prompts(lines)] == [("line-1", "one"), ("line-3", " two ")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.jsonl", b"", "expected at least one prompt, found none"),
        ("p.jsonl", b"{", "line 1: expected a JSON object, found broken JSON"),
        ("p.jsonl", b"[1]", "line 1: expected a JSON object, found list"),
        ("p.jsonl", b"[" * 100000, "line 1: expected a JSON object, found broken JSON"),
        ("p.jsonl", b'{"id":"a"}', "line 1: expected a field 'text', found 'id'"),
        ("p.jsonl", b'{"id":true,"text":"t"}', "expected id to be text, got True"),
        ("p.jsonl", b'{"id":1.5,"text":"t"}', "expected id to be text, got 1.5"),
        ("p.jsonl", b'{"id":"","text":"t"}', "expected an id, got an empty one"),
        ("p.jsonl", b'{"id":"a","text":"t","task":5}', "expected task to be text, got 5"),
        ("p.jsonl", b'{"id":"a","id":"b","text":"t"}', "a key comes twice"),
        ("p.jsonl", b'{"id":"a","text":"t","x":NaN}', "NaN is not JSON"),
        ("p.jsonl", b'{"id":"a","text":"t"}\n{"id":"a","text":"u"}', "expected ids that come once, found 'a' twice"),
        ("p.jsonl", b'{"id":"a","text":"\xff"}', "expected UTF-8 text, found a broken character at byte 18"),
        ("p.jsonl", b'\xef\xbb\xbf{"id":"a","text":"\xff"}', "found a broken character at byte 21"),
        ("p.jsonl", b'{"id":"a","text":"t"}\r\r{', "line 3: expected a JSON object, found broken JSON"),
        ("p.jsonl", b'{"id":"a","text":"t"}\n\xe2\x80\xa8\n', "line 2: expected a JSON object, found broken JSON"),
        ("p.csv", b"id,text\na,b,c\n", "line 2: expected 2 columns, found 3"),
        ("p.csv", b"id,text\na\n", "line 2: expected 2 columns, found 1"),
        ("p.csv", b'id,text\na,"b\n', "line 2: expected CSV, found a broken row"),
        ("p.csv", b'id,text\na,"b\nc"\n\nd\n', "line 5: expected 2 columns, found 1"),
        ("p.csv", b'id,text\r\na,"b\r\nc"\r\nd\r\n', "line 4: expected 2 columns, found 1"),
        ("p.csv", b'id,text\ra,"b\rc"\rd\r', "line 4: expected 2 columns, found 1"),
        ("p.csv", b'id,text\na,"b\nc",d\n', "line 2: expected 2 columns, found 3"),
        ("p.csv", "id,text\na,b\u2028c\nd\n".encode(), "line 3: expected 2 columns, found 1"),
        ("p.csv", b'id,text\na,b\n"x"y,z\n', "line 3: expected CSV, found a broken row"),
        ("p.csv", b"id,text,task,text\na,b,c,d\n", "line 1: expected columns of different names, found 'text' twice"),
        ("p.csv", b"id,id,text\n", "line 1: expected columns of different names, found 'id' twice"),
        ("p.csv", b"id,text,,\na,b,c,d\n", "line 1: expected columns of different names, found '' twice"),
        ("p.csv", b"id,words\na,b\n", "line 2: expected a field 'text', found 'id', 'words'"),
        (
            "p.csv",
            b"id;text\na;\xe9\n",
            "a broken character at byte 10, which is '\u00e9' in Windows-1252: save the file",
        ),
        (
            "p.csv",
            "id,text\na,b\n".encode("utf-16"),
            "found a broken character at byte 0; the file is UTF-16: save the",
        ),
        ("p.csv", b"ID,id,text\n1,2,b\n1,2,c\n", "expected ids that come once, found '2' twice"),
        (
            "p.csv",
            b"id,Text,TEXT\n1,b,c\n",
            "line 2: expected names that differ in more than their case, found 'id', 'T",
        ),
        ("p.jsonl", b'{"Text":"a","TEXT":"b"}', "line 1: expected names that differ in more than their case"),
    ],
)
def test_broken_files_are_one_sentence(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(rs.FormatError, match=message):
        rs.load_prompts(path)


# What str.splitlines takes for the end of a line, and no format of ours does.
INSIDE = ["\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85"]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("inside", INSIDE, ids=ascii)
def test_a_line_ends_at_lf_and_cr_alone(tmp_path, inside, ending):
    text = f"one{inside}two"
    for name, lines in {
        "p.csv": ["id,text,note", f"a,{text},{text}", f'b,"{text}",', "c,,"],
        "p.jsonl": [json.dumps({"id": key, "text": text, "note": text}, ensure_ascii=False) for key in "abc"]
        if inside > "\x7f"  # JSON takes no control characters
        else [json.dumps({"id": key, "text": text, "note": text}) for key in "abc"],
        "p.txt": [text, text, "three"],
    }.items():
        (tmp_path / name).write_bytes((ending.join(lines) + ending).encode())
        prompts = rs.load_prompts(tmp_path / name)
        assert len(prompts) == 3, name
        assert [prompt.text for prompt in prompts[:2]] == [text, text], name
        if name != "p.txt":
            assert [prompt.id for prompt in prompts] == ["a", "b", "c"], name
            assert prompts[0].fields["note"] == text, name


@pytest.mark.parametrize("within", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_quoted_cell_keeps_its_line_ends(tmp_path, within, ending):
    path = tmp_path / "p.csv"
    path.write_bytes(f'id,text{ending}a,"one{within}two"{ending}b,three{ending}'.encode())
    assert [prompt.text for prompt in rs.load_prompts(path)] == [f"one{within}two", "three"]


def test_a_csv_file_is_read_as_pandas_reads_it(tmp_path):
    """An independent reader, which takes an empty cell for a missing task."""
    pd = pytest.importorskip("pandas", reason="the comparison needs pandas")
    path = tmp_path / "p.csv"
    content = '\ufeffid,task,text\r\na,x,"say ""hi""\n,twice"\r\n\r\nb,,one\u2028two\x0cthree\r\n" c ","y\r",\u00e9\r\n'
    path.write_bytes(content.encode())
    table = pd.read_csv(path, keep_default_na=False, na_values={"task": [""]}, encoding="utf-8")
    found = [(prompt.id, prompt.task, prompt.text) for prompt in rs.load_prompts(path)]
    assert found == [(row.id, None if pd.isna(row.task) else row.task, row.text) for row in table.itertuples()]
    assert [rs.Prompt(row.id, row.task, row.text) for row in table.itertuples()] == rs.load_prompts(path)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_tables_of_spreadsheets(tmp_path, separator, suffix):
    path = tmp_path / f"p.{suffix}"
    rows = [["Text", " TASK", "Note"], ["Add 1; 2, 3.", "math", "x"], ['"Sing"', "", ""], ["", "", ""]]
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=separator).writerows(rows)
    first, second = rs.load_prompts(path)
    assert (first.id, first.task, first.text, first.fields) == ("line-2", "math", "Add 1; 2, 3.", {"Note": "x"})
    assert (second.id, second.task, second.text) == ("line-3", None, '"Sing"')


def test_a_header_may_come_after_empty_rows(tmp_path):
    (tmp_path / "p.csv").write_text("\n;;\nid;text\na;b, c\n")
    assert [(prompt.id, prompt.text) for prompt in rs.load_prompts(tmp_path / "p.csv")] == [("a", "b, c")]


def test_ids_may_be_numbers_or_missing(tmp_path):
    (tmp_path / "p.jsonl").write_text('{"id": 7, "text": "a"}\n{"id": 8.0, "text": "b"}\n{"text": "c"}\n')
    assert [prompt.id for prompt in rs.load_prompts(tmp_path / "p.jsonl")] == ["7", "8", "line-3"]
    (tmp_path / "p.csv").write_text("id,text\n7,a\n,b\n")
    assert [prompt.id for prompt in rs.load_prompts(tmp_path / "p.csv")] == ["7", "line-3"]


TABLE = {"Text": ["a", "b"], "task": ["x", None], "level": [1, 2], "id": [5, None], "source": [None, "s"]}


MODULES = {
    "pandas": lambda module: module.DataFrame(TABLE, index=[9, 9]),
    "polars": lambda module: module.DataFrame(TABLE),
    "pyarrow": lambda module: module.table(TABLE),
}


@pytest.mark.parametrize("module", MODULES)
def test_tables_are_prompts_by_their_rows(module, model):
    table = MODULES[module](pytest.importorskip(module, reason=f"the table is {module}'s"))
    expected = [rs.Prompt("5", "x", "a", level=1), rs.Prompt("row-2", None, "b", level=2, source="s")]
    assert rs.load_prompts(table) == expected
    traces = rs.record(model, table, max_new_tokens=1, progress=False)
    assert [(trace.id, trace.task, trace.text) for trace in traces] == [("5", "x", "a"), ("row-2", None, "b")]


def test_what_is_no_prompts_is_refused_in_a_sentence(model):
    pd = pytest.importorskip("pandas", reason="the tables are pandas'")
    for given, message in (
        (TABLE, 'a list of prompts, a data frame with a column "text" or a path, got a dict'),
        (5, "or a path, got an int"),
        (b"text", "or a path, got a bytes"),
        ([5], "expected prompts as rs.Prompt or text, got an int"),
    ):
        with pytest.raises(TypeError, match=f"record: .*{message}"):
            rs.record(model, given)
    for given, message in (
        (pd.DataFrame({"prompt": ["a"]}), "row 1: expected a field 'text', found 'prompt'"),
        (pd.DataFrame({"text": ["a", None]}), "row 2: expected a field 'text', found none"),
        (pd.DataFrame({"text": ["a", "b"], "id": ["c", "c"]}), ": expected ids that come once, found 'c' twice"),
        (
            pd.DataFrame([["a", "b"]], columns=["text", "text"]),
            ": expected columns of different names, found 'text' twice",
        ),
        (pd.DataFrame({"text": []}), ": expected at least one prompt, got a table without rows"),
    ):
        with pytest.raises(ValueError, match=f"record:? ?{message}"):
            rs.record(model, given)
    with pytest.raises(TypeError, match="load_prompts: expected a path or a table, got a list of str"):
        rs.load_prompts(["a"])
    assert rs.record(model, (text for text in ["a"]), max_new_tokens=1, progress=False).ids == ["prompt-1"]


def test_other_kinds_of_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected a \.jsonl, \.csv, \.tsv or \.txt file"):
        rs.load_prompts(tmp_path / "p.docx")
    with pytest.raises(FileNotFoundError):
        rs.load_prompts(tmp_path / "absent.txt")


def test_no_shipped_prompt_stands_verbatim_in_the_training_text(repository):
    """The training script commits a hash of every training instruction."""
    np = pytest.importorskip("numpy")
    import sys

    sys.path.insert(0, str(repository / "scripts"))
    from tiny_olmoe.prompts import instruction_hash

    path = repository / "tests/data/training_instruction_hashes.npy"
    trained = set(np.load(path, allow_pickle=False).tolist())
    assert len(trained) > 1000
    assert not [p.id for p in rs.load_prompts() if instruction_hash(p.text) in trained]


def test_prompt_refuses_what_is_not_text():
    with pytest.raises(ValueError, match="expected text to be text, got 3"):
        rs.Prompt("a", None, 3)
    assert rs.Prompt("a", "", "t").task is None
    assert json.dumps(rs.Prompt("a", "x", "t", level=3).fields) == '{"level": 3}'
    assert rs.Prompt("a", "x", "t") == rs.Prompt("a", "x", "t")
    assert len({rs.Prompt("a", "x", "t"), rs.Prompt("a", "x", "t")}) == 1
