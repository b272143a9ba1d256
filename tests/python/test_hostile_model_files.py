"""Model folders and prompt files of strangers: what they hold is a value, or one sentence that names the file.

Seeded mutations of good files, more of them under scripts/test --all, and a hand-made file for each kind of fault.
"""

import json
import os
import random
import shutil
from functools import partial

import pytest

pytest.importorskip("tokenizers", reason="the files are tokenizers'")

import routesig as rs
from routesig import _apart
from routesig._chat import chat_ids
from routesig._prompts import Prompt
from routesig._tokenizer import decode_each, encode, load_tokenizer

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
