"""Which model it was: the name and the hash that load_model gives its traces."""

import hashlib
import json
import os
import shutil

import numpy as np
import pytest

pytest.importorskip("torch", reason="running a model needs PyTorch")
pytest.importorskip("routesig._torch", reason="built without LibTorch")

import routesig as rs
from routesig import _core

COMMIT = "7b1b6ad5f4c7b2e6f4f6b0a3e0b9f5a2c1d3e4f5"
SHIPPED = "tiny-olmoe"


def sha256(*paths):
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


@pytest.fixture(scope="module")
def shipped(model):
    return model.path


@pytest.fixture
def folder(shipped, tmp_path):
    path = tmp_path / "mine"
    shutil.copytree(shipped, path)
    return path


@pytest.fixture
def sharded(shipped, tmp_path):
    """The shipped weights in two shards, named so that the order of the index is not that of the names."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = tmp_path / "sharded"
    path.mkdir()
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(shipped / name, path)
    places, parts = {}, ({}, {})
    with safe_open(str(shipped / "model.safetensors"), framework="pt") as file:
        for i, key in enumerate(file.keys()):
            parts[i % 2][key] = file.get_tensor(key)
            places[key] = ("b.safetensors", "a.safetensors")[i % 2]
    for part, name in zip(parts, ("b.safetensors", "a.safetensors"), strict=True):
        save_file(part, path / name)
    (path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return path


def stray(folder):
    """An adapter and a half-finished download, as they lie about in folders that are used."""
    from safetensors.numpy import save_file

    save_file({"lora": np.zeros(3, np.float32)}, folder / "adapter_model.safetensors")
    (folder / "0.safetensors").write_bytes(b"not finished")


def test_the_hash_of_the_shipped_model_is_that_of_earlier_recordings(model, shipped):
    assert model.info.model_sha256 == sha256(shipped / "model.safetensors")
    assert model.info.tokenizer_sha256 == sha256(shipped / "tokenizer.json")


def test_the_hash_covers_what_is_loaded_and_nothing_else(folder, model):
    stray(folder)
    assert rs.load_model(folder).info.model_sha256 == model.info.model_sha256


def test_the_hash_of_shards_is_in_the_order_of_their_names(sharded):
    expected = sha256(sharded / "a.safetensors", sharded / "b.safetensors")
    assert rs.load_model(sharded).info.model_sha256 == expected
    stray(sharded)
    found = rs.load_model(sharded)
    assert found.info.model_sha256 == expected
    assert len(_core.read_safetensors(sharded)) == len(_core.read_safetensors(rs.load_model().path))


def test_a_stray_file_does_not_stop_resume(folder, tmp_path):
    prompts = ["Count to two.", "Count to three."]
    options = {"max_new_tokens": 1, "out": tmp_path / "t.jsonl", "progress": False}
    rs.record(rs.load_model(folder), prompts, **options)
    stray(folder)
    assert len(rs.record(rs.load_model(folder), prompts, resume=True, **options)) == 2


@pytest.mark.parametrize(
    "index",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"weight_map": []}',
        b'{"weight_map": {"a": 5}}',
        b'{"weight_map": {"a": ["b"]}}',
        b'{"weight_map": {"a": "\\ud800.safetensors"}}',
        b'{"weight_map": {"a": "../elsewhere.safetensors"}}',
        b'{"weight_map": {"a": "absent.safetensors"}}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_a_broken_index_is_refused_by_the_loader(folder, index):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_bytes(index)
    with pytest.raises((rs.FormatError, FileNotFoundError), match=r"\.safetensors"):
        rs.load_model(folder)


def test_an_index_beside_one_file_is_not_looked_at(folder, model):
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "b.safetensors"}}')
    assert rs.load_model(folder).info.model_sha256 == model.info.model_sha256


@pytest.fixture
def snapshot(shipped, tmp_path):
    """As huggingface_hub caches a repository: a folder of links to blobs, called by its commit."""

    def make(repository):
        path = tmp_path / "hub" / repository / "snapshots" / COMMIT
        blobs = path.parents[1] / "blobs"
        path.mkdir(parents=True)
        blobs.mkdir()
        for file in shipped.iterdir():
            blob = blobs / hashlib.sha256(file.name.encode()).hexdigest()
            shutil.copy(file, blob)
            (path / file.name).symlink_to(os.path.relpath(blob, path))
        config = json.loads((path / "config.json").read_text()) | {"_name_or_path": "somebody/else"}
        (path / "config.json").unlink()
        (path / "config.json").write_text(json.dumps(config))
        return path

    return make


@pytest.mark.parametrize(
    ("repository", "name"),
    [
        ("models--allenai--OLMoE-1B-7B-0924", "allenai/OLMoE-1B-7B-0924"),
        ("models--olmoe", "olmoe"),
        ("datasets--allenai--c4", COMMIT),
        ("models", COMMIT),
    ],
)
def test_a_snapshot_of_the_hub_is_called_by_its_repository(snapshot, repository, name):
    found = rs.load_model(snapshot(repository))
    assert found.info.model_name == name
    assert found.info.model_sha256 == rs.load_model().info.model_sha256


def test_links_and_slashes_change_no_name(snapshot, folder, tmp_path, monkeypatch):
    path = snapshot("models--allenai--OLMoE-1B-7B-0924")
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "elsewhere").symlink_to(tmp_path / "hub")
    (tmp_path / "latest").symlink_to(folder)
    monkeypatch.chdir(path)
    for given in (
        f"{path}/",
        tmp_path / "link",
        f"{tmp_path / 'link'}/",
        tmp_path / "elsewhere" / path.relative_to(tmp_path / "hub"),
        ".",
    ):
        assert rs.load_model(given).info.model_name == "allenai/OLMoE-1B-7B-0924", given
    for given in (folder, f"{folder}/", tmp_path / "latest", f"{tmp_path / 'latest'}/"):
        assert rs.load_model(given).info.model_name == "mine", given


def test_a_snapshot_that_is_a_link_out_of_the_cache_keeps_its_name(snapshot, folder):
    path = snapshot("models--allenai--OLMoE-1B-7B-0924")
    other = path.with_name("a" * 40)
    other.symlink_to(folder)
    assert rs.load_model(other).info.model_name == "allenai/OLMoE-1B-7B-0924"


def test_config_json_does_not_name_the_model(folder):
    config = json.loads((folder / "config.json").read_text()) | {"_name_or_path": "somebody/else"}
    (folder / "config.json").write_text(json.dumps(config))
    assert rs.load_model(folder).info.model_name == "mine"
    assert rs.load_model(folder, random_weights=3).info.model_name == "mine, random weights 3"
    assert rs.load_model().info.model_name == SHIPPED


def test_a_folder_name_that_is_not_utf8_becomes_text(folder, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9")
    folder.rename(path)
    found = rs.load_model(path)
    assert found.info.model_name == "caf\ufffd"
    trace = rs.record(found, ["hello"], max_new_tokens=1, out=tmp_path / "t.jsonl", progress=False)[0]
    assert trace.info.model_name == "caf\ufffd"
