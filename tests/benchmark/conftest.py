"""Fixtures of the tests of the benchmark."""

import pytest

from lungscore.statistics import bootstrap, crossed


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Intervals from few resamples: what they are of is tested here, not how exact they are."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", 200)
    monkeypatch.setattr(crossed, "RESAMPLES", 200)
