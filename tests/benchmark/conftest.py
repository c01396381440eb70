"""Fixtures of the tests of the benchmark."""

import pytest

from lungscore.evaluation import statistics


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Intervals from few resamples: what they are of is tested here, not how exact they are."""
    monkeypatch.setattr(statistics, "RESAMPLES", 200)
