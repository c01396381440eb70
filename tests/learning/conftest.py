"""Fixtures of the tests of learning."""

import pytest
from tiny_training import TinyEncoder

from lungscore.networks import ENCODERS


@pytest.fixture
def tiny(monkeypatch):
    """Makes the encoder "tiny" known."""
    monkeypatch.setitem(ENCODERS, "tiny", TinyEncoder)
