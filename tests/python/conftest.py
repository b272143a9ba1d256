"""What the Python tests share: the shipped model, loaded once, and where the repository is."""

import importlib.util
import signal
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # support.py


@pytest.fixture(scope="session", autouse=True)
def ctrl_c():
    """Jobs that a script starts in the background ignore Ctrl-C; the tests that press it need Python's handler."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def repository() -> Path:
    return HERE.parents[1]


@pytest.fixture(scope="session")
def model():
    pytest.importorskip("torch", reason="running a model needs PyTorch")
    import routesig as rs

    return rs.load_model()


@pytest.fixture(scope="session")
def parity(repository):
    """scripts/parity.py, which measures models against Hugging Face's."""
    spec = importlib.util.spec_from_file_location("parity", repository / "scripts" / "parity.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["parity"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
