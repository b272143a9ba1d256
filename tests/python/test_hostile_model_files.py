"""Model folders and prompt files of strangers: what they hold is a value, or one sentence that names the file.

Seeded mutations of good files, more of them under scripts/test --all, and a hand-made file for each kind of fault.
"""

import base64
import csv
import json
import os
import random
import resource
import shutil
from functools import partial

import pytest

pytest.importorskip("tokenizers", reason="the files are tokenizers'")

import routesig as rs
from routesig import _apart, _prompts, _tokenizer
from routesig._chat import chat_ids
from routesig._prompts import Prompt
from routesig._tokenizer import decode_each, encode, load_tokenizer
from routesig._tokenizer_growth import TEXT, growth, rules

PROMPTS = [Prompt("a", None, "Count to ten."), Prompt("b", None, "h\u00e9llo \u4e2d")]
TEXTS = [prompt.text for prompt in PROMPTS]


@pytest.fixture(scope="module")
def shipped(repository):
    return repository / "python/routesig/data/tiny-olmoe"


@pytest.fixture(scope="module")
def tokenizer_json(shipped):
    return json.loads((shipped / "tokenizer.json").read_text())


def mutated(content: bytes, seed: int) -> bytes:
    """One to three changes: of a bit, a piece that is cut, doubled or moved, a number, a bracket or a quote."""
    draw, out = random.Random(seed), bytearray(content)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(out) + 1)
        piece = slice(at, at + draw.choice((1, 1, 2, 9, 99)))
        match draw.randrange(5):
            case 0 if out:
                out[at % len(out)] ^= 1 << draw.randrange(8)
            case 1:
                del out[piece]
            case 2:
                out[at:at] = out[piece] * draw.choice((1, 2, 50))
            case 3:
                out[at:at] = draw.choice((b"0", b"-1", b"9" * 30, b"1e400", b"null", b"{", b"]", b'"', b"\xff", b"\0"))
            case 4:
                out[piece] = draw.choice((b'"x"', b"[]", b"{}", b"true", b'"\\ud800"', b'{"content": 5}'))
    return bytes(out)


def check_mutations(place, content, count, use):
    """Each of `count` mutations is taken, or refused in one sentence that names the place; both happen."""
    said = []
    for seed in range(count):
        try:
            use(mutated(content, seed))
        except ValueError as error:
            said.append(str(error))
        else:
            said.append(None)
    assert [one for one in said if one is not None and (str(place) not in one or "\n" in one)] == []
    assert 0 < said.count(None) < count


def used(file):
    """Everything that a recording does with a tokenizer."""
    tokenizer = load_tokenizer(file)
    ids = encode(tokenizer, file, TEXTS, True)
    decode_each(tokenizer, file, 300)
    return ids


@pytest.mark.parametrize("count", [150, pytest.param(5_000, marks=pytest.mark.slow)])
def test_a_mutated_tokenizer_is_a_value_or_a_sentence(tokenizer_json, tmp_path, count, capfd):
    """Of 40 tokens, so that a change seldom falls into the vocabulary."""
    kept = dict(list(tokenizer_json["model"]["vocab"].items())[:40])
    small = {**tokenizer_json, "model": {**tokenizer_json["model"], "vocab": kept, "merges": []}}
    file = tmp_path / "tokenizer.json"

    def use(content):
        file.write_bytes(content)
        used(file)

    check_mutations(file, json.dumps(small).encode(), count, use)
    capfd.readouterr()  # Rust says on stderr where it panicked


CUT = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
PAD = {"direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "x"}
CHANGES = {
    "cut": {"truncation": CUT},
    "cut with a stride": {"truncation": {**CUT, "stride": 9}},
    "padded to the longest": {"padding": {**PAD, "strategy": "BatchLongest"}},
    "padded to 9": {"padding": {**PAD, "strategy": {"Fixed": 9}}},
    "padded beyond all memory": {"padding": {**PAD, "strategy": {"Fixed": 10**15}}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_tokenizer_neither_cuts_nor_pads_prompts(tokenizer_json, shipped, tmp_path, change):
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps({**tokenizer_json, **CHANGES[change]}))
    assert used(file) == used(shipped / "tokenizer.json")


@pytest.mark.parametrize("change", ["cut", "padded to 9"])
def test_ids_are_those_of_transformers_whatever_the_file_cuts_or_pads(tokenizer_json, shipped, tmp_path, change):
    transformers = pytest.importorskip("transformers", reason="the comparison needs transformers")
    shutil.copy(shipped / "tokenizer_config.json", tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps({**tokenizer_json, **CHANGES[change]}))
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path), local_files_only=True)
    assert used(tmp_path / "tokenizer.json") == theirs(TEXTS)["input_ids"]


WORDS = {"vocab": {"a": 0}, "unk_token": "<unk>"}
TEMPLATE = {"type": "TemplateProcessing", "pair": [], "special_tokens": {}}
TOKENIZERS = {  # what is changed; what is expected in its place
    "a merge of tokens that are not there": (
        {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["b", "c"]]}},
        r"a tokenizer, found something else \(.*`b` out of vocabulary.*\)",
    ),
    "a panic of Rust's while it loads": (
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},
        r"a tokenizer, found something else \(.*Cannot parse precompiled_charsmap.*\)",
    ),
    "a panic of Rust's in encode": (
        {"pre_tokenizer": {"type": "FixedLength", "length": 0}},
        r"a tokenizer that can encode the prompts, found something else \(chunk size must be non-zero\)",
    ),
    "a token of the template that is not there": (
        {"post_processor": {**TEMPLATE, "single": [{"SpecialToken": {"id": "x", "type_id": 0}}]}},
        r"a tokenizer that can encode the prompts, found something else \(no entry found for key\)",
    ),
    "an unknown token that is not there": (
        {"model": {"type": "WordLevel", **WORDS}},
        r"a tokenizer that can encode the prompts, found something else \(.*Missing \[UNK\] token.*\)",
    ),
    "a list": ([], r"a tokenizer, found something else \(.*invalid type: sequence.*\)"),
}


@pytest.mark.parametrize("fault", TOKENIZERS)
def test_a_broken_tokenizer_is_one_sentence_that_names_its_file(tokenizer_json, tmp_path, fault, capfd):
    changed, message = TOKENIZERS[fault]
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(changed if isinstance(changed, list) else {**tokenizer_json, **changed}))
    with pytest.raises(rs.FormatError, match=rf"^{file}: expected {message}$") as caught:
        used(file)
    assert "\n" not in str(caught.value)
    capfd.readouterr()


def test_ctrl_c_in_a_tokenizer_stays_ctrl_c(shipped):
    class Interrupted:
        def encode_batch(self, *_, **__):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode(Interrupted(), shipped / "tokenizer.json", TEXTS, True)


HUNDRED = {"type": "Replace", "pattern": {"Regex": "."}, "content": "c" * 100}
NESTED = {"type": "Sequence", "normalizers": [HUNDRED] * 5}
TWICE = {"Sequence": {"id": "A", "type_id": 0}}
ADDED = {"id": 300, "content": "ab", "normalized": True, "special": False}
ADDED |= dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
BYTES = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": False}
MULTIPLIERS = {
    "a normalizer": ({"normalizer": NESTED}, "a tokenizer that can encode the prompts"),
    "one without types": (
        {"normalizer": {"normalizers": [{key: HUNDRED[key] for key in ("pattern", "content")}] * 5}},
        "a tokenizer that can encode the prompts",
    ),
    "of an added token": ({"normalizer": NESTED, "added_tokens": [ADDED]}, "a tokenizer"),
    "a pre-tokenizer": (
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [BYTES] * 60}},
        "a tokenizer that can encode the prompts",
    ),
    "a template": (
        {
            "post_processor": {
                "type": "Sequence",
                "processors": [{**TEMPLATE, "single": [TWICE] * 100, "pair": [TWICE]}] * 5,
            }
        },
        "a tokenizer that can encode the prompts",
    ),
    "a decoder": (
        {"decoder": {"type": "Sequence", "decoders": [HUNDRED] * 5}},
        "a tokenizer that can decode every token id",
    ),
}


@pytest.mark.parametrize("rule", MULTIPLIERS)
def test_rules_that_multiply_a_text_are_a_sentence_before_they_fill_memory(
    tokenizer_json, tmp_path, rule, monkeypatch, capfd
):
    monkeypatch.setattr(_apart, "BYTES", 256 << 20)
    monkeypatch.setattr(_apart, "SECONDS", 3.0)
    changed, expected = MULTIPLIERS[rule]
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps({**tokenizer_json, "added_tokens": [], **changed}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(rs.FormatError, match=rf"^{file}: expected {expected}, found "):
        used(file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB
    capfd.readouterr()


def test_what_a_tokenizer_makes_apart_is_what_it_makes_here(shipped, monkeypatch):
    file = shipped / "tokenizer.json"
    here = used(file), decode_each(load_tokenizer(file), file, 300)
    for name in ("_ORDINARY", "_LONGEST"):
        monkeypatch.setattr(_tokenizer, name, 0)
    assert (used(file), decode_each(load_tokenizer(file), file, 300)) == here


def test_ordinary_tokenizers_are_used_in_this_process(shipped, monkeypatch):
    monkeypatch.setattr(_tokenizer, "apart", None)
    used(shipped / "tokenizer.json")
    fields = rules((shipped / "tokenizer.json").read_bytes())
    assert growth(fields, TEXT) == 3 * 4  # NFC, then bytes as letters with a space before each piece
    llama = [{"type": "Prepend", "prepend": "\u2581"}, {"pattern": {"String": " "}, "content": "\u2581"}]
    assert growth({"normalizer": {"normalizers": llama}}, TEXT) == (1 + 3) * 3


def test_growth_is_worked_by_hand():
    def grown(*normalizers):
        return growth({"normalizer": {"type": "Sequence", "normalizers": list(normalizers)}}, TEXT)

    assert grown() == grown({"type": "Strip", "content": "long"}) == 1
    assert grown(HUNDRED) == 101  # empty matches beside every byte
    assert grown({"pattern": {"String": "ab"}, "content": "abcde"}) == 2.5
    assert grown({"pattern": {"String": "abc"}, "content": ""}) == 1
    assert grown({"type": "NFKD"}, {"type": "Lowercase"}) == 11 * 1.5
    charsmap = base64.b64encode((8).to_bytes(4, "little") + b"x" * 8 + b"a\0four\0").decode()
    assert grown({"type": "Precompiled", "precompiled_charsmap": charsmap}) == 4
    around = {"single": [{"SpecialToken": {"id": "s"}}, TWICE, TWICE], "special_tokens": {"s": {"ids": [1, 2, 3]}}}
    assert growth({"post_processor": around}, TEXT) == 2 + 3


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"])
def test_sizes_are_asked_before_a_file_is_read(shipped, tmp_path, name):
    pytest.importorskip("transformers", reason="chat templates need transformers")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(shipped / file, tmp_path)
    with open(tmp_path / name, "ab") as file:
        os.truncate(file.fileno(), 1 << 40)  # takes no room on disk
    read = (
        partial(load_tokenizer, tmp_path / name) if name == "tokenizer.json" else partial(chat_ids, tmp_path, PROMPTS)
    )
    with pytest.raises(rs.FormatError, match=rf"^{tmp_path / name}: expected at most [0-9]+ bytes, found more$"):
        read()


@pytest.fixture
def chat(shipped, tmp_path):
    """The ids by a chat template, or by a tokenizer_config.json, of the shipped tokenizer's folder."""
    pytest.importorskip("transformers", reason="chat templates need transformers")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(shipped / file, tmp_path)

    def ids(content, name="chat_template.jinja"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return chat_ids(tmp_path, PROMPTS)

    return ids


LIKE_REAL_ONES = """
{%- set ns = namespace(first=true, system='') -%}
{%- macro turn(role, content) -%}{{ '<|' + role + '|>\\n' + content | trim + '\\n' }}{%- endmacro -%}
{%- for message in messages -%}
{%- if message['role'] == 'system' %}{% set ns.system = message['content'] %}{% endif -%}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}{{ raise_exception('roles alternate') }}{%- endif -%}
{{ turn(message.role, message.content) }}
{%- endfor -%}
{%- if tools is defined and tools %}{{ tools | tojson(indent=4) }}{% endif -%}
{%- if add_generation_prompt %}{{ '<|assistant|>\\n' }}{{ eos_token[:0] }}{% endif -%}
"""


def test_a_template_with_everything_that_real_ones_use_gives_what_transformers_gives(chat, tmp_path):
    ids = chat(LIKE_REAL_ONES)
    theirs = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(str(tmp_path), local_files_only=True)
    for prompt, found in zip(PROMPTS, ids, strict=True):
        turn = [{"role": "user", "content": prompt.text}]
        assert found == theirs.apply_chat_template(turn, add_generation_prompt=True, return_dict=False)


@pytest.mark.parametrize("count", [30, pytest.param(1_500, marks=pytest.mark.slow)])
def test_a_mutated_chat_template_is_a_value_or_a_sentence(chat, tmp_path, monkeypatch, count):
    monkeypatch.setattr(_apart, "SECONDS", 1.0)
    check_mutations(tmp_path, LIKE_REAL_ONES.encode(), count, chat)


CONFIG = {
    "bos_token": None,
    "eos_token": {"__type": "AddedToken", "content": "<|endoftext|>", "special": True},
    "model_max_length": 512,
    "tokenizer_class": "PreTrainedTokenizerFast",
    "added_tokens_decoder": {"0": {"content": "<|endoftext|>", "special": True}},
    "chat_template": [{"name": "default", "template": "{{ messages[0].content }}"}],
}


@pytest.mark.parametrize("count", [30, pytest.param(1_500, marks=pytest.mark.slow)])
def test_a_mutated_tokenizer_config_is_a_value_or_a_sentence(chat, tmp_path, count):
    check_mutations(tmp_path, json.dumps(CONFIG).encode(), count, partial(chat, name="tokenizer_config.json"))


LIMIT = "it takes more than (?:0.5 seconds of a processor|512 MiB of memory)"  # which of them is a matter of speed
TEMPLATES = {
    "loops in loops": ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", LIMIT),
    "text times a number": ("{{ 'a' * 10**12 }}", LIMIT),
    "text that fits into memory": ("{{ 'a' * 20000000 }}", "it gives 20000000 characters, more than 10000000"),
    "text that doubles": (
        "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        LIMIT,
    ),
    "a width of old formats": ("{{ '%999999999999d' | format(1) }}", LIMIT),
    "a width of formats": ("{{ '{:>999999999999}'.format(1) }}", LIMIT),
    "center": ("{{ 'a' | center(999999999999) }}", LIMIT),
    "lipsum": ("{{ lipsum(n=9999999) }}", LIMIT),
    "wordwrap": ("{{ ('a ' * 1000000) | wordwrap(1, wrapstring='b' * 100000) }}", LIMIT),
    "indent": ("{{ ('a\\n' * 1000000) | indent(100000) }}", LIMIT),
    "batch": ("{{ [1] | batch(10**10, 1) | list }}", LIMIT),
    "a power": ("{{ 99 ** 9999999 ** 9 }}", LIMIT),
    "a division by zero": ("{{ 1 / 0 }}", r"division by zero"),
    "an overflow": ("{{ 10.0 ** 999 }}", r"\(34, 'Numerical result out of range'\)"),
    "types that do not add": ("{{ 1 + 'a' }}", r"unsupported operand type\(s\) for \+: 'int' and 'str'"),
    "brackets in brackets": ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "maximum recursion depth exceeded.*"),
    "a macro that calls itself": (
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "maximum recursion depth exceeded.*",
    ),
}


@pytest.mark.parametrize("fault", TEMPLATES)
def test_a_template_ends_and_the_sentence_names_its_file(chat, tmp_path, monkeypatch, fault):
    monkeypatch.setattr(_apart, "SECONDS", 0.5)
    monkeypatch.setattr(_apart, "BYTES", 512 << 20)
    template, why = TEMPLATES[fault]
    file = tmp_path / "chat_template.jinja"
    with pytest.raises(
        ValueError, match=rf"^record: the chat template of {file} does not render prompt 'a' \({why}\)$"
    ) as caught:
        chat(template)
    assert caught.type is ValueError
    assert chat("{{ messages[0].content }}") == encode(load_tokenizer(tmp_path / "tokenizer.json"), file, TEXTS, False)


PROMPT_FILES = {
    "p.jsonl": b'{"id": "a", "task": "x", "text": "Count to ten.", "source": [1, {"b": null}]}\n'
    b'{"id": "b", "text": "h\\u00e9llo \\ud83d\\ude00", "level": 1.5e3}\n{"text": "c", "group": "g"}\n',
    "p.csv": b'id,task,text,template\r\na,x,"two\r\nlines, one cell",t1\r\nb,,=1+1,\r\n'
    b'"c","y","h\xc3\xa9 ""q""",t2\r\n',
    "p.txt": b"one\n\n two \r\nh\xc3\xa9llo\rfour\xe2\x80\xa8\n",
}


@pytest.mark.parametrize("count", [150, pytest.param(5_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PROMPT_FILES)
def test_mutated_prompts_can_be_recorded_or_are_a_sentence(tmp_path, name, count):
    file, saved = tmp_path / name, tmp_path / "traces.jsonl"

    def use(content):
        file.write_bytes(content)
        prompts = rs.load_prompts(file)
        traces = rs.TraceSet([as_recorded(prompt) for prompt in prompts])
        traces.save(saved)
        found = [(trace.id, trace.task, trace.text, trace.group, trace.fields) for trace in rs.read_traces(saved)]
        assert found == [(one.id, one.task, one.text, one.group, one.fields) for one in prompts]

    check_mutations(file, PROMPT_FILES[name], count, use)


def as_recorded(prompt):
    """A trace of the prompt, as a recording writes it."""
    return rs.RoutingTrace.from_arrays(
        [[[0]]],
        num_experts=2,
        prompt_tokens=1,
        **{name: getattr(prompt, name) for name in ("id", "task", "text", "group", "fields")},
    )


DEEP = "[" * 63 + "]" * 63
HALF = "of whole characters, found the lone surrogate U\\+D800 at character"
PROMPTS_THAT_CANNOT_BE_RECORDED = {
    "half a character in an id": (r'"id": "\ud800"', rf"prompt '\\ud800': expected id {HALF} 0"),
    "half a character in a text": (r'"text": "ab\ud800"', rf"prompt 'a': expected text {HALF} 2"),
    "half a character in a task": (r'"task": "\ud800"', rf"prompt 'a': expected task {HALF} 0"),
    "half a character in a field": (r'"x": ["\ud800"]', rf"prompt 'a': expected field 'x' {HALF} 2"),
    "half a character in a name": (r'"\ud800": 1', rf"prompt 'a': expected names of fields {HALF} 0"),
    "a number beyond doubles": (
        '"x": [1e400]',
        r"prompt 'a': expected field 'x' that JSON can write, got another \(Out of range .*\)",
    ),
    "no number": ('"x": NaN', r"expected a JSON object, found broken JSON \(NaN is not JSON\)"),
    "too many digits": ('"x": ' + "9" * 5_000, r"expected a JSON object, found broken JSON \(Exceeds .*\)"),
    "too deep": (f'"x": {DEEP}', r"prompt 'a': expected field 'x' of at most 62 levels, got 63"),
    "far too deep": ('"x": ' + "[" * 100_000, r"expected a JSON object, found broken JSON \(.*\)"),
}


@pytest.mark.parametrize("fault", PROMPTS_THAT_CANNOT_BE_RECORDED)
def test_what_cannot_be_recorded_is_refused_when_it_is_loaded(tmp_path, fault):
    field, message = PROMPTS_THAT_CANNOT_BE_RECORDED[fault]
    given = {"id": '"id": "a"', "text": '"text": "t"'}
    given[field.split('"')[1]] = field
    file = tmp_path / "p.jsonl"
    file.write_text('{"text": "first"}\n{' + ", ".join(given.values()) + "}\n")
    with pytest.raises(rs.FormatError, match=f"^{file}, line 2: {message}$"):
        rs.load_prompts(file)


def test_fields_as_deep_as_a_file_takes_are_recorded(tmp_path):
    prompt = Prompt("a", None, "t", x=json.loads(DEEP[1:-1]), y={"z": [[{}]]})
    rs.TraceSet([as_recorded(prompt)]).save(tmp_path / "t.jsonl")
    assert rs.read_traces(tmp_path / "t.jsonl")[0].fields == prompt.fields


def test_what_a_prompt_has_come_to_hold_is_refused_before_the_model_runs(model, tmp_path):
    prompt = Prompt("a", None, "Count to ten.", x=[1])
    prompt.fields["x"].append(float("inf"))
    message = r"^record: prompt 'a': expected field 'x' that JSON can write, got another \(Out of range .*\)$"
    for out in (None, tmp_path / "t.jsonl"):
        with pytest.raises(ValueError, match=message):
            rs.record(model, [prompt], out=out, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_cells_of_any_length_are_read_and_the_csv_module_stays_as_it_was(tmp_path):
    limit, text = csv.field_size_limit(), "x" * 300_000
    (tmp_path / "p.csv").write_text(f"id,text\na,{text}\n")
    assert rs.load_prompts(tmp_path / "p.csv")[0].text == text
    (tmp_path / "p.csv").write_text(f'id,text\na,"{text}\n')
    with pytest.raises(rs.FormatError, match="line 2: expected CSV, found a broken row"):
        rs.load_prompts(tmp_path / "p.csv")
    assert csv.field_size_limit() == limit


def test_prompt_files_have_a_size_that_is_asked_first(tmp_path, monkeypatch):
    file = tmp_path / "p.txt"
    file.write_text("one\ntwo\nthree\n")
    monkeypatch.setattr(_prompts, "_MOST", 3)
    assert len(rs.load_prompts(file)) == 3
    monkeypatch.setattr(_prompts, "_MOST", 2)
    with pytest.raises(rs.FormatError, match=f"^{file}: expected at most 2 prompts, found more$"):
        rs.load_prompts(file)
    os.truncate(file, 1 << 40)
    with pytest.raises(rs.FormatError, match=f"^{file}: expected at most 1000000000 bytes, found more$"):
        rs.load_prompts(file)
    (tmp_path / "endless.txt").symlink_to("/dev/zero")
    monkeypatch.setattr(_prompts, "_LARGEST", 1 << 20)
    with pytest.raises(rs.FormatError, match=r"endless\.txt: expected at most 1048576 bytes, found more$"):
        rs.load_prompts(tmp_path / "endless.txt")


def test_columns_by_the_thousand_are_a_short_sentence(tmp_path):
    file = tmp_path / "p.csv"
    file.write_text(",".join(map(str, range(50_000))) + "\n" + "1," * 49_999 + "1\n")
    with pytest.raises(rs.FormatError, match=r"expected a field 'text', found '0', '1', .*, '19', and 49980 more$"):
        rs.load_prompts(file)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("a\0b.jsonl", ValueError, r"^{}: expected a path without NUL, got '.*a\\x00b\.jsonl'$"),
        ("x" * 300 + ".jsonl", OSError, "File name too long"),
    ],
    ids=["NUL", "too long"],
)
def test_names_that_no_file_can_have_are_one_sentence(model, tmp_path, name, error, message):
    for who, call in (
        ("record", lambda path: rs.record(model, PROMPTS, out=path, progress=False)),
        ("load_model", rs.load_model),
        ("load_prompts", rs.load_prompts),
    ):
        with pytest.raises(error, match=message.format(who)):
            call(str(tmp_path / name))


def test_links_that_lead_in_a_circle_are_refused_before_the_model_runs(model, tmp_path):
    (tmp_path / "t.jsonl").symlink_to(tmp_path / "t.jsonl")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        rs.record(model, PROMPTS, out=tmp_path / "t.jsonl", progress=False)
