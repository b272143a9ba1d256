"""What the Python tests share: the shipped model, loaded once, and where the repository is."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # support.py


@pytest.fixture(scope="session")
def repository() -> Path:
    return HERE.parents[1]


@pytest.fixture(scope="session")
def model():
    pytest.importorskip("torch", reason="running a model needs PyTorch")
    import routesig as rs

    return rs.load_model()
