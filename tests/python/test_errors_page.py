"""docs/errors.md and the code say the same: every sentence of a heading is provoked and must come out as it stands."""

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import stat
import struct
import subprocess
import sys
import venv
import warnings
from pathlib import Path

import numpy as np
import pytest

import routesig as rs
from routesig import _core
from routesig._tokenizer import encode, load_tokenizer

ROOT = Path(__file__).resolve().parents[2]
CONSUMER = ROOT / "tests" / "install" / "consumer"
PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
SENTENCES = re.findall(r"`([^`]+)`", "\n".join(re.findall(r"^### (.+)$", PAGE, re.M)))
NOT_OURS = ["Could not find a package configuration file"]  # CMake's own
PROMPTS = [rs.Prompt("a", None, "Count to ten."), rs.Prompt("b", None, "Count to two.")]


class Said:
    """The messages of everything that went wrong in its blocks."""

    def __init__(self):
        self.messages = []

    @contextlib.contextmanager
    def caught(self):
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            try:
                yield
            except (ValueError, OSError, ImportError) as error:
                text = f"{error.filename}: {error.strerror}" if getattr(error, "filename", None) else str(error)
                self.messages.append(text)
        self.messages += [str(note.message) for note in notes]

    def by_cmake(self, source, folder, *options):
        """Configures, which may fail; CMake's wrapped lines become one."""
        command = ["cmake", "-S", source, "-B", folder, "-DROUTESIG_BUILD_TESTS=OFF", *options]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        self.messages.append(" ".join((done.stdout + done.stderr).split()))


def say_set_up(said, tmp, monkeypatch):
    script = (ROOT / "scripts/stage.sh").read_text()  # not run: as root it would install
    said.messages.append(" ".join(script.replace("\\n", " ").split()))
    said.by_cmake(ROOT, tmp / "eigen", "-DCMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON")
    venv.create(tmp / "venv")  # without Torch
    without = f"-DPython_EXECUTABLE={tmp / 'venv/bin/python'}"
    said.by_cmake(ROOT, tmp / "auto", "-DROUTESIG_TORCH=AUTO", without)
    old = tmp / "old-torch"
    (old / "lib").mkdir(parents=True)
    said.by_cmake(ROOT, tmp / "no-library", "-DROUTESIG_TORCH=ON", f"-DROUTESIG_TORCH_DIR={old}")
    (old / "lib/libtorch_cpu.so").touch()
    (old / "version.py").write_text("__version__ = '2.12.1'\n")
    said.by_cmake(ROOT, tmp / "old", "-DROUTESIG_TORCH=ON", f"-DROUTESIG_TORCH_DIR={old}")

    package = tmp / "package"  # as installed, with empty lists of targets
    package.mkdir()
    shutil.copy(tmp / "auto/routesig-config.cmake", package)
    shutil.copy(tmp / "auto/routesig-config-version.cmake", package)
    for component in ("core", "io"):
        (package / f"routesig-{component}-targets.cmake").touch()
    asked = (f"-Droutesig_DIR={package}", "-DCONSUMER_COMPONENTS=model", without)
    said.by_cmake(CONSUMER, tmp / "not-built", *asked)
    (package / "routesig-model-targets.cmake").touch()
    shutil.copy(ROOT / "cmake/RoutesigTorch.cmake", package)
    said.by_cmake(CONSUMER, tmp / "no-torch", *asked)

    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    for version in (absent, lambda name: "2.14.0+cpu"):
        with monkeypatch.context() as patch, said.caught():
            patch.setattr(importlib.metadata, "version", version)
            rs.load_model()
    with monkeypatch.context() as patch, said.caught():
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        rs.load_model()


def safetensors(tensors, data=b"", length=None):
    """Bytes of a file; `tensors`: name -> (dtype, shape, [begin, end])."""
    fields = {name: dict(zip(("dtype", "shape", "data_offsets"), t, strict=True)) for name, t in tensors.items()}
    header = json.dumps(fields).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def say_models(said, tmp, model):
    config = json.loads((model.path / "config.json").read_text())
    weights = (model.path / "model.safetensors").read_bytes()
    shapes = {name: tensor[1] for name, tensor in _core.read_safetensors(model.path / "model.safetensors").items()}
    one = {"a": ("U8", [1], [0, 1])}

    def load(changed=None, text=None, **files):
        folder = tmp / f"model-{len(said.messages)}"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({**config, **(changed or {})}) if text is None else text)
        for name, content in files.items():
            (folder / name.replace("__", "-").replace("_safetensors", ".safetensors")).write_bytes(content)
        with said.caught():
            rs.load_model(folder)

    def index(places):
        return json.dumps({"weight_map": places}).encode()

    whole = {"model_safetensors": weights}
    load({"model_type": "mixtral"}, **whole)
    load({"rope_scaling": {"type": "linear", "factor": 2.0}}, **whole)
    load({"is_causal": False}, **whole)
    load({"num_experts": 1.5}, **whole)
    load(text='{"a":1,}', **whole)
    load(**{"pytorch_model.bin": b""})
    load(model_safetensors=struct.pack("<Q", 4096) + b" " * 1000)
    load(model_safetensors=safetensors(one, b"xy"))
    load(model_safetensors=safetensors({"a": ("U8", [2], [0, 1])}, b"x"))
    load(model_safetensors=safetensors({"a": ("F4", [1], [0, 1])}, b"x"))
    load(**{"model.safetensors.index.json": index({"a": "../elsewhere.safetensors"})})
    shards = {
        f"model-0000{i}-of-00003.safetensors": safetensors({name: one["a"]}, b"x") for i, name in ((1, "a"), (2, "b"))
    }
    first, second = shards
    load(**shards, **{"model.safetensors.index.json": index({"a": second, "b": first})})
    load({"num_experts": 32}, **whole)
    load({"num_hidden_layers": 17}, **whole)
    load({"num_hidden_layers": 15}, **whole)
    end, places = 0, {}
    for name, shape in shapes.items():
        begin, end = end, end + int(np.prod(shape))
        places[name] = ("F8_E4M3", list(shape), [begin, end])
    load(model_safetensors=safetensors(places, bytes(end)))


def make_full(path):
    """A file that takes no byte, as /dev/full."""
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 7))


def say_recordings(said, tmp, model):
    def record(**options):
        with said.caught():
            rs.record(model, PROMPTS, **{"max_new_tokens": 2, "out": tmp / "t.jsonl", "progress": False, **options})

    def read(name, content, **options):
        (tmp / name).write_bytes(content)
        with said.caught():
            rs.read_traces(tmp / name, **options)

    record()
    with pytest.MonkeyPatch.context() as patch, said.caught():
        for name in [module for module in sys.modules if module.split(".")[0] == "pyarrow"] + ["pyarrow"]:
            patch.setitem(sys.modules, name, None)
        rs.read_traces(tmp / "t.jsonl").save(tmp / "t.parquet")
    rs.signatures(rs.read_traces(tmp / "t.jsonl")).save(tmp / "s.npz")
    with said.caught():
        rs.read_signatures(tmp / "s.npz", max_bytes=100)
    whole = (tmp / "t.jsonl").read_bytes()
    read("cut.jsonl", whole[:-100])
    read("cut.jsonl", whole[:-100], recover=True)
    read("torn.jsonl", whole[:100], recover=True)
    read("crlf.jsonl", whole.replace(b"\n", b"\r\n"))
    read("changed.jsonl", whole.replace(b'"Count to ten."', b'"Count to six."'))
    read("newer.jsonl", whole.replace(b'"version":1', b'"version":2'))
    read("twice.jsonl", whole.replace(b'"position":1,', b'"position":0,'))
    read("other.txt", b"%PDF-1.7")
    record(seed=1, temperature=0.5, resume=True)
    holder = _core.JsonlRecorder(tmp / "held.jsonl")
    record(out=tmp / "held.jsonl")
    del holder
    (tmp / "left.jsonl.partial").write_bytes(whole[:-100])
    record(out=tmp / "left.jsonl")
    os.mkfifo(tmp / "pipe.jsonl")
    record(out=tmp / "pipe.jsonl")
    with said.caught():
        rs.read_traces(tmp / "pipe.jsonl")
    make_full(tmp / "full.jsonl.partial")
    record(out=tmp / "full.jsonl")
    record(max_new_tokens=100_000)
    with said.caught():
        rs.record(model, PROMPTS, max_new_tokens=1, router_logits=True, progress=False).save(tmp / "logits.jsonl")


def say_prompts(said, tmp, model):
    def chat(template=None, config="{}"):
        folder = tmp / f"chat-{len(said.messages)}"
        folder.mkdir()
        for file in model.path.iterdir():
            (folder / file.name).symlink_to(file)
        (folder / "tokenizer_config.json").unlink()
        (folder / "tokenizer_config.json").write_text(config)
        if template is not None:
            (folder / "chat_template.jinja").write_text(template)
        with said.caught():
            rs.record(rs.load_model(folder), PROMPTS, max_new_tokens=0, chat_template="model", progress=False)

    for name, content in (
        ("half.jsonl", r'{"id": "a", "text": "\ud83d"}'),
        ("twice.csv", "id,text,text\na,b,c\n"),
        ("deep.jsonl", '{"id": "a", "text": "t", "x": ' + "[" * 63 + "]" * 63 + "}"),
    ):
        (tmp / name).write_text(content)
        with said.caught():
            rs.load_prompts(tmp / name)
    (tmp / "endless.txt").symlink_to("/dev/zero")
    with said.caught(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("routesig._prompts._LARGEST", 1_000)
        rs.load_prompts(tmp / "endless.txt")
    (tmp / "tokenizer.json").write_text("{}")
    with said.caught():
        load_tokenizer(tmp / "tokenizer.json")
    hundred = {"type": "Replace", "pattern": {"Regex": "."}, "content": "c" * 100}
    fields = json.loads((model.path / "tokenizer.json").read_text())
    fields["normalizer"] = {"type": "Sequence", "normalizers": [hundred] * 5}
    (tmp / "tokenizer.json").write_text(json.dumps({**fields, "added_tokens": []}))
    with said.caught(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("routesig._apart.BYTES", 256 << 20)
        encode(load_tokenizer(tmp / "tokenizer.json"), tmp / "tokenizer.json", ["Count to ten."], True)
    chat()
    chat(config="{")
    chat("one\n{% for %}")
    chat("{{ raise_exception('expected a system message') }}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "transformers", None)
        chat("one")


def say_studies(said):
    def study(**options):
        with said.caught():
            rs.study(rs.TraceSet(traces), progress=False, permutations=10, **options)

    row = np.array([[[0, 1]]])
    traces = [
        rs.RoutingTrace.from_arrays(row, num_experts=4, prompt_tokens=1, id=f"p{i}", task="ab"[i], group="g")
        for i in range(2)
    ]
    with said.caught():
        rs.RoutingTrace.from_arrays(row, num_experts=4, token_ids=[1, 2])
    study()
    study(tokens="generation")
    traces.append(rs.RoutingTrace.from_arrays(np.array([[[1, 1]]]), num_experts=4, id="bad", task="a"))
    study()


def say_reports(said, tmp):
    with said.caught():
        rs.SignatureSet.from_counts([[[1, 2], [1, 1]]])
    study = rs.study(rs.SignatureSet.from_counts([[[1, 2]]]), progress=False)
    with said.caught():
        study.report(tmp / "absent" / "report.html")
    with pytest.MonkeyPatch.context() as patch, said.caught():
        for name in [module for module in sys.modules if module.split(".")[0] == "plotly"] + ["plotly"]:
            patch.setitem(sys.modules, name, None)
        study.report(tmp / "report.html")


def say_comparisons(said):
    row = np.array([[[0, 1], [1, 2]]])
    a, b = (
        rs.TraceSet([rs.RoutingTrace.from_arrays(row, num_experts=4, prompt_tokens=1, id=name)]) for name in ("a", "b")
    )
    for other in (b, rs.signatures(a, tokens="prompt")):
        with said.caught():
            rs.compare(a, other)


@pytest.fixture(scope="module")
def messages(model, tmp_path_factory):
    if shutil.which("cmake") is None:
        pytest.skip("provoking every error takes CMake")
    try:
        make_full(tmp_path_factory.mktemp("device") / "full")
    except OSError as error:
        pytest.skip(f"provoking every error takes the right to make a device: {error}")
    pytest.importorskip("transformers", reason="provoking every error takes transformers")
    said, monkeypatch = Said(), pytest.MonkeyPatch()
    say_set_up(said, tmp_path_factory.mktemp("set-up"), monkeypatch)
    say_models(said, tmp_path_factory.mktemp("models"), model)
    say_recordings(said, tmp_path_factory.mktemp("recordings"), model)
    say_prompts(said, tmp_path_factory.mktemp("prompts"), model)
    say_studies(said)
    say_reports(said, tmp_path_factory.mktemp("reports"))
    say_comparisons(said)
    return said.messages


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_code_says_what_the_page_says(sentence, messages):
    if sentence.startswith(tuple(NOT_OURS)):
        return
    pattern = re.escape(sentence).replace(r"\.\.\.", ".+").replace(r"\ ", " ")
    assert [message for message in messages if re.search(pattern, message)], sentence


def test_every_heading_is_a_sentence():
    headings = re.findall(r"^### (.+)$", PAGE, re.M)
    assert len(headings) >= 35
    assert [heading for heading in headings if not heading.startswith("`")] == []
