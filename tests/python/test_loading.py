"""load_model: what it says when something is missing or broken."""

import importlib.metadata
import importlib.util
import re
import shutil

import pytest

import routesig as rs


def test_without_torch_the_command_is_named(monkeypatch):
    pytest.importorskip("routesig._torch", reason="built without LibTorch")

    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    with pytest.raises(ImportError, match=r"needs PyTorch 2\.[0-9]+: pip install 'torch==2\.[0-9]+\.\*'"):
        rs.load_model()


@pytest.mark.parametrize("found", ["2.12.1", "2.1", "3.0.0+cu130", "2.130.0"])
def test_another_minor_version_of_torch_is_refused_by_number(monkeypatch, found):
    pytest.importorskip("routesig._torch", reason="built without LibTorch")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: found)
    with pytest.raises(ImportError, match=rf"built against PyTorch 2\.[0-9]+, found {re.escape(found)}"):
        rs.load_model()


def test_a_build_without_libtorch_names_the_build_command(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "routesig._torch" else real(name))
    with pytest.raises(ImportError, match=r"built without LibTorch.*--no-build-isolation.*ROUTESIG_TORCH=ON"):
        rs.load_model()


def test_what_is_not_a_model_is_one_sentence(model, tmp_path):
    with pytest.raises(rs.FormatError, match=r"expected a model folder with config.json.*found nothing there"):
        rs.load_model(tmp_path / "absent")
    (tmp_path / "file").write_text("x")
    with pytest.raises(rs.FormatError, match="found a file"):
        rs.load_model(tmp_path / "file")
    with pytest.raises((rs.FormatError, FileNotFoundError), match=r"config.json"):
        rs.load_model(tmp_path)
    with pytest.raises(ValueError, match="expected backend to be one of auto, torch, got 'cpu'"):
        rs.load_model(backend="cpu")
    with pytest.raises(ValueError, match="dtype"):
        rs.load_model(dtype="int4")


def test_cuda_without_a_device_is_one_sentence(model):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises((ValueError, RuntimeError), match=r"CUDA|cuda") as error:
        rs.load_model(device="cuda")
    assert "\n" not in str(error.value)


def test_a_truncated_weights_file_is_refused_before_anything_is_computed(model, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(model.path, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(rs.FormatError, match=r"model\.safetensors"):
        rs.load_model(folder)
    (folder / "tokenizer.json").write_text("{}")
    shutil.copy(model.path / "model.safetensors", weights)
    with pytest.raises(rs.FormatError, match=r"tokenizer\.json: expected a tokenizer"):
        rs.load_model(folder).tokenizer  # noqa: B018
    (folder / "tokenizer.json").unlink()
    bare = rs.load_model(folder)
    assert bare.tokenizer is None
    assert bare.generate([1, 2, 3], max_new_tokens=1)
    with pytest.raises(ValueError, match="need a tokenizer"):
        rs.record(bare, ["text"])


def test_batches_and_single_prompts(model):
    one = model.forward([1, 2, 3])
    assert one.shape == (3, model.config["vocab_size"])
    first, second = model.forward([[1, 2, 3], [4, 5]])
    assert first.shape == one.shape
    assert second.shape[0] == 2
    assert isinstance(model.generate([1, 2, 3], max_new_tokens=2, ignore_eos=True), list)
    for bad, message in (
        ([], "at least 1 token id"),
        ([[1], []], "at least 1 token id in prompt 1"),
        ([model.config["vocab_size"]], "token id"),
        ([-1], "token id"),
        ([1.5], "integers"),
        (["a"], "integers"),
    ):
        with pytest.raises(ValueError, match=message):
            model.forward(bad)


def test_the_context_error_names_the_numbers(model):
    context = model.config["max_position_embeddings"]
    with pytest.raises(ValueError, match=str(context)):
        model.forward([1] * (context + 1))
    with pytest.raises(ValueError, match=str(context)):
        model.generate([1] * context, max_new_tokens=2)
