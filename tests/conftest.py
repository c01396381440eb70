"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real scans, or a skip that says what is missing."""
    folder = os.environ.get("LUNGSCORE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("real scans are not here: set LUNGSCORE_DATA to their folder")
    return Path(folder)
