"""The commit that result files and weights name."""

import subprocess
from pathlib import Path

import pytest

from lungscore import version


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with a file version.py, from which the code seems to run."""
    monkeypatch.setattr(version, "__file__", str(tmp_path / "version.py"))
    version.commit.cache_clear()
    yield tmp_path
    version.commit.cache_clear()


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(folder), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_it_is_that_of_the_files_with_a_mark_where_they_differ(repository):
    git(repository, "init", "-q")
    (repository / "version.py").write_text("1")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "first")
    head = git(repository, "rev-parse", "HEAD")
    assert version.commit() == head
    version.commit.cache_clear()
    (repository / "version.py").write_text("2")
    assert version.commit() == f"{head}+"


def test_there_is_none_outside_a_repository_or_in_one_of_others(repository):
    assert version.commit() is None
    version.commit.cache_clear()
    git(repository, "init", "-q")
    (repository / "version.py").write_text("not tracked")
    assert version.commit() is None
