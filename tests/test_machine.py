"""How many threads a process may use."""

from pathlib import Path

import pytest

from lungscore.machine import _quota, available_threads


def test_at_least_one_processor_is_available(monkeypatch):
    assert available_threads() >= 1
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    assert available_threads() >= 1


@pytest.mark.parametrize(
    ("files", "processors"),
    [
        ({"cpu.max": "150000 100000\n"}, 1),
        ({"cpu.max": "400000 100000\n"}, 4),
        ({"cpu.max": "20000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "nonsense"}, None),
        ({}, None),
    ],
)
def test_a_containers_quota_limits_the_threads(tmp_path: Path, files, processors):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert _quota(tmp_path) == processors


def test_a_quota_below_the_processors_wins(monkeypatch):
    monkeypatch.setattr("lungscore.machine._quota", lambda: 1)
    assert available_threads() == 1
