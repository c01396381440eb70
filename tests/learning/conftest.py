"""Fixtures of the tests of learning."""

import pytest
import torch

from lungscore.networks import ENCODERS
from tests.learning.small_bundle import make_small_bundle
from tests.learning.tiny_training import TinyEncoder


@pytest.fixture
def tiny(monkeypatch):
    """Makes the encoder "tiny" known."""
    monkeypatch.setitem(ENCODERS, "tiny", TinyEncoder)


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory):
    """A bundle of the smallest network, random weights."""
    return make_small_bundle(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture
def one_thread():
    """Sums in one order, so that runs can be compared bit by bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
