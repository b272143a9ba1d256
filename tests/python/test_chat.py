"""Chat templates: the ids that are recorded are those of transformers, and what is broken is one sentence."""

import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="running a model needs PyTorch")
pytest.importorskip("routesig._torch", reason="built without LibTorch")
pytest.importorskip("transformers", reason="chat templates need transformers")

import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

import routesig as rs
from routesig import _apart, _chat

CONFIG = {
    "model_type": "olmoe",
    "architectures": ["OlmoeForCausalLM"],
    "hidden_act": "silu",
    "vocab_size": 400,
    "hidden_size": 16,
    "intermediate_size": 4,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 300,
}
WORDS = [
    "<unk>",
    "<s>",
    "</s>",
    "user",
    "assistant",
    "hello",
    "world",
    "<b>",
    '"<b>"',
    "default",
    "tools",
    "one",
    "two",
]
ID = {word: i for i, word in enumerate(WORDS)}
TURN = (
    "{{ bos_token }} {% for message in messages %}{{ message.role }} {{ message.content }} {% endfor %}"
    "{% if add_generation_prompt %}assistant{% endif %}"
)


def word_level(bos):
    """One id a word; `bos`: the tokenizer begins every text with <s> by itself."""
    tokenizer = Tokenizer(models.WordLevel(ID, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def byte_level(bos):
    """BPE of bytes, as OLMoE has it, with one merge."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<s>", "</s>", *letters, "he"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("h", "e")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return tokenizer


@pytest.fixture
def made(tmp_path):
    """A model folder: tokenizer.json, and the files that are given as text, bytes or JSON."""

    def make(given, tokenizer=word_level, bos=True):
        tokenizer(bos).save(str(tmp_path / "tokenizer.json"))
        for name, content in {"config.json": CONFIG, **given}.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            content = json.dumps(content) if isinstance(content, (dict, list)) else content
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return make


def config(**fields):
    return {"tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", **fields}}


def recorded(folder, text="hello world", **options):
    """The prompt's ids in a recording with the model's chat template."""
    options = {"chat_template": "model", "max_new_tokens": 1, "ignore_eos": True, "progress": False, **options}
    trace = rs.record(rs.load_model(folder, random_weights=0), [rs.Prompt("a", None, text)], **options)[0]
    return trace.token_ids.tolist()[: trace.prompt_tokens]


def by_transformers(folder, text="hello world"):
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    return list(
        tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=True, return_dict=False
        )
    )


PLAIN = [ID[word] for word in ("<s>", "user", "hello", "world", "assistant")]
LIST = [{"name": "tools", "template": "tools"}, {"name": "default", "template": "default " + TURN}]
LOOP = (
    "{% for i in range(9) %}{% if i == 1 %}{% continue %}{% endif %}"
    "{% if i == 3 %}{% break %}{% endif %}one {% endfor %}"
)

CASES = {
    "the template's BOS alone, though the tokenizer adds one": (config(bos_token="<s>", chat_template=TURN), PLAIN),
    "a BOS with options": (
        config(bos_token={"__type": "AddedToken", "content": "<s>", "special": True}, chat_template=TURN),
        PLAIN,
    ),
    "a BOS in special_tokens_map.json alone": (
        {**config(chat_template=TURN), "special_tokens_map.json": {"bos_token": "<s>"}},
        PLAIN,
    ),
    "tojson as it is": (
        config(chat_template="{{ messages[0].content | tojson }} {{ '<b>' | tojson }}"),
        [ID["<unk>"], ID["<unk>"], ID['"<b>"']],
    ),
    "a list of templates": (config(bos_token="<s>", chat_template=LIST), [ID["default"], *PLAIN]),
    "a folder of templates": (
        {**config(bos_token="<s>"), "chat_template.jinja": TURN, "additional_chat_templates/tools.jinja": "tools"},
        PLAIN,
    ),
    "the file before the field": ({**config(chat_template="tools"), "chat_template.jinja": "one"}, [ID["one"]]),
    "strftime_now": (config(chat_template="{{ strftime_now('two') }}"), [ID["two"]]),
    "loop controls": (config(chat_template=LOOP), [ID["one"]] * 2),
    "generation tags": (
        config(chat_template="one {% generation %}two{% endgeneration %}"),
        [ID["one"], ID["two"]],
    ),
    "no bos_token anywhere": (config(chat_template=TURN), PLAIN[1:]),
}


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_ids_are_those_of_transformers(made, case, bos):
    files, expected = CASES[case]
    folder = made(files, bos=bos)
    assert by_transformers(folder) == expected
    assert recorded(folder) == expected


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("name", ["PreTrainedTokenizerFast", "GPTNeoXTokenizer"])
def test_ids_of_bytes_are_those_of_transformers(made, bos, name):
    files = {"tokenizer_config.json": {"tokenizer_class": name, "bos_token": "<s>", "chat_template": TURN}}
    folder = made(files, byte_level, bos)
    ids = recorded(folder, "he\u00e9\n<s>\u4e2d")
    assert ids == by_transformers(folder, "he\u00e9\n<s>\u4e2d")
    assert ids[0] == 0
    assert recorded(folder, "hello")[:2] != [0, 0]


@pytest.mark.parametrize("added", [True, False])
def test_the_template_alone_writes_special_tokens_and_the_header_says_so(made, tmp_path, added):
    folder = made(config(bos_token="<s>", chat_template=TURN))
    assert recorded(folder, add_special_tokens=added, out=tmp_path / "t.jsonl") == PLAIN
    settings = rs.read_traces(tmp_path / "t.jsonl").settings
    assert (settings["chat_template"], settings["add_special_tokens"]) == ("model", False)
    model = rs.load_model(folder, random_weights=0)
    plain = rs.record(model, ["hello"], max_new_tokens=0, add_special_tokens=added, progress=False)[0]
    assert plain.token_ids.tolist() == [ID["<s>"]] * added + [ID["hello"]]


FAULTS = {
    "no template": (config(bos_token="<s>"), rs.FormatError, "needs a chat template"),
    "no tokenizer_config.json": ({}, rs.FormatError, r"needs a chat template in chat_template.jinja or tokenizer_conf"),
    "no default among several": (
        config(chat_template=[{"name": "tools", "template": "x"}, {"name": "rag", "template": "x"}]),
        rs.FormatError,
        "named 'default' among several, found 'rag', 'tools'",
    ),
    "a template that raises": (
        config(chat_template="{{ raise_exception('roles must\nalternate') }}"),
        ValueError,
        r"does not render prompt 'a' \(roles must alternate\)",
    ),
    "a template that does not parse": (
        config(chat_template="one\n{% for %}"),
        rs.FormatError,
        r"a chat template that parses, found a fault in its line 2 \(.+\)",
    ),
    "an unknown filter": (config(chat_template="{{ 1 | shout }}"), rs.FormatError, "fault in its line 1 .*'shout'"),
    "a loop too long": (
        config(chat_template="{% for i in range(10**9) %}x{% endfor %}"),
        ValueError,
        "does not render",
    ),
    "a macro without end": (
        config(chat_template="{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
        ValueError,
        "does not render",
    ),
    "what is not there": (config(chat_template="{{ a.b.c }}"), ValueError, r"does not render .*\('a' is undefined\)"),
    "an error of Python's": (config(chat_template="{{ 1 / 0 }}"), ValueError, r"\(division by zero\)"),
    "another file": (config(chat_template="{% include 'x' %}"), ValueError, "does not render"),
    "nothing at all": (config(chat_template="{# nothing #}"), ValueError, "prompt 'a' is empty: it has no tokens"),
    "broken JSON": ({"tokenizer_config.json": "{"}, rs.FormatError, r"tokenizer_config\.json: expected JSON, found"),
    "broken text": (
        {"tokenizer_config.json": b"\xff"},
        rs.FormatError,
        r"tokenizer_config\.json: expected JSON, found",
    ),
    "half a character": (
        {"tokenizer_config.json": '{"chat_template": "\\ud800"}'},
        rs.FormatError,
        r"tokenizer_config\.json: expected JSON, .*lone surrogate U\+D800",
    ),
    "too deep": ({"tokenizer_config.json": "[" * 100_000}, rs.FormatError, r"tokenizer_config\.json: expected JSON"),
    "a list": (
        {"tokenizer_config.json": []},
        rs.FormatError,
        r"tokenizer_config\.json: expected a JSON object, found li",
    ),
    "a template of numbers": (config(chat_template=5), rs.FormatError, r"config\.json: expected chat_template as text"),
    "a list of texts": (config(chat_template=["x"]), rs.FormatError, r"config\.json: expected chat_template as text"),
    "a list without templates": (
        config(chat_template=[{"name": "default"}]),
        rs.FormatError,
        r"config\.json: expected chat_template as text",
    ),
    "a token of numbers": (
        config(chat_template=TURN, bos_token=5),
        rs.FormatError,
        r"tokenizer_config\.json: expected bos_token as text or an object with content, found 5",
    ),
    "a class of numbers": (config(chat_template=TURN, tokenizer_class=5), rs.FormatError, r"tokenizer_config\.json"),
    "a length of letters": (
        config(chat_template=TURN, model_max_length="x"),
        rs.FormatError,
        r"tokenizer_config\.json",
    ),
    "added tokens of numbers": (
        config(chat_template=TURN, added_tokens_decoder={"x": 5}),
        rs.FormatError,
        r"tokenizer_config\.json",
    ),
    "a broken map": (
        {**config(chat_template=TURN), "special_tokens_map.json": "{"},
        rs.FormatError,
        r"special_tokens_map\.json: expected JSON",
    ),
    "a map of numbers": (
        {**config(chat_template=TURN), "special_tokens_map.json": {"eos_token": {"content": 5}}},
        rs.FormatError,
        r"special_tokens_map\.json: expected eos_token as text",
    ),
    "a broken template file": ({**config(), "chat_template.jinja": b"\xff"}, rs.FormatError, r"chat_template\.jinja"),
    "a token that the model does not have": (
        {"config.json": {**CONFIG, "vocab_size": 13}, **config(chat_template="<new>", bos_token="<new>")},
        ValueError,
        "prompt 'a' has token id 13, and the model's vocabulary has 13",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_broken_is_one_sentence_that_names_its_place(made, tmp_path, fault):
    files, kind, message = FAULTS[fault]
    folder = made(files)
    with pytest.raises(kind, match=message) as caught:
        recorded(folder, out=tmp_path / "t.jsonl")
    assert caught.type in (ValueError, rs.FormatError)
    assert "\n" not in str(caught.value)
    assert kind is ValueError or str(folder) in str(caught.value)
    assert not list(tmp_path.glob("t.jsonl*"))


@pytest.mark.parametrize("absent", ["transformers", "jinja2"])
def test_without_transformers_the_command_is_named(made, absent):
    """In a process of its own: transformers remembers whether Jinja is there."""
    folder = made(config(chat_template=TURN))
    program = f"""
import sys
import torch  # before Jinja is hidden from it
sys.modules[{absent!r}] = None
import routesig as rs
try:
    rs.record(rs.load_model({str(folder)!r}, random_weights=0), ["hello"], chat_template="model", progress=False)
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("chat_template='model' needs transformers"), done.stderr
    assert done.stdout.endswith("pip install 'routesig[hf]'\n")
    assert done.stdout.count("\n") == 1


def test_nothing_is_downloaded_and_no_code_of_the_folder_runs(made, monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was opened")

    files = config(bos_token="<s>", chat_template=TURN, auto_map={"AutoTokenizer": ["mine.Mine", None]})
    folder = made({**files, "mine.py": "raise SystemExit('this ran')"})
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert list(_chat.rendered_ids(str(folder), [("a", "hello world")])) == [
        None,
        PLAIN,
    ]  # here, where a connection is seen
    monkeypatch.undo()
    assert recorded(folder) == PLAIN


def test_transformers_is_imported_for_chat_templates_alone():
    program = """
import sys
import routesig as rs
rs.record(rs.load_model(), ["hello"], max_new_tokens=1, progress=False)
print("transformers" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr


def test_the_command_line_takes_the_template(made, tmp_path):
    # The command line draws no weights, so the model is the shipped one with a template of its own.
    shipped = rs.load_model().path
    for file in shipped.iterdir():
        if file.suffix in (".json", ".safetensors"):
            (tmp_path / file.name).symlink_to(file)
    (tmp_path / "chat_template.jinja").write_text("Question: {{ messages[0].content }} Answer:")
    (tmp_path / "p.txt").write_text("Count to two.\n")
    command = [sys.executable, "-m", "routesig", "record", "--prompts", tmp_path / "p.txt", "--max-new-tokens", 1]
    for value, code in (("model", 0), ("mine", 2)):
        arguments = ["--model", tmp_path, "--out", tmp_path / f"{value}.jsonl", "--chat-template", value]
        done = subprocess.run(list(map(str, command + arguments)), capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
    assert re.search("--chat-template.*'mine' is not .*'model'", done.stderr)
    trace = rs.read_traces(tmp_path / "model.jsonl")[0]
    expected = rs.load_model().tokenizer.encode("Question: Count to two. Answer:", add_special_tokens=False).ids
    assert trace.token_ids.tolist()[: trace.prompt_tokens] == expected
    assert (trace.text, trace.prompt_tokens) == ("Count to two.", len(expected))


def test_templates_that_are_interrupted_or_killed_leave_nothing_that_runs_on(made, monkeypatch):
    folder = made(config(bos_token="<s>", chat_template=TURN))
    assert recorded(folder) == PLAIN
    helper = _apart._helper(os.getpid())

    def interrupted(line):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_apart.json, "loads", interrupted)
        with pytest.raises(KeyboardInterrupt):
            _chat.chat_ids(folder, [rs.Prompt("a", None, "hello")])
    assert helper.poll() is not None
    assert recorded(folder) == PLAIN
    second = _apart._helper(os.getpid())
    os.kill(second.pid, signal.SIGKILL)
    second.wait()
    assert recorded(folder) == PLAIN


def test_a_fork_renders_by_itself(made):
    folder = made(config(bos_token="<s>", chat_template=TURN))
    assert recorded(folder) == PLAIN
    program = f"""
import os
from pathlib import Path
import routesig as rs
from routesig._chat import chat_ids
prompt = [rs.Prompt("a", None, "hello world")]
first = chat_ids(Path({str(folder)!r}), prompt)
child = os.fork()
same = [chat_ids(Path({str(folder)!r}), prompt) == first for _ in range(3)]
if child == 0:
    os._exit(not all(same))
print(same, os.waitpid(child, 0)[1])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "[True, True, True] 0\n", done.stderr
