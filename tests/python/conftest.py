"""What the Python tests share: the shipped model, loaded once, and where the repository is."""

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
