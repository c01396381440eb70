"""Which commit a figure belongs to."""

import subprocess
from pathlib import Path

import pytest

from host import commit

SCRIPT = "experiments/speed/script.py"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with code and results, all committed."""
    for file in (
        "src/package/code.py",
        SCRIPT,
        "benchmarks/results/lines.jsonl",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("1\n")
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_results_leave_a_commit_what_it_is(tree: Path) -> None:
    package = tree / "src/package"
    found = commit(package)
    assert found is not None
    assert len(found) == 10
    (tree / "benchmarks/results/lines.jsonl").write_text("2\n")
    (tree / "page.md").write_text("2\n")
    assert commit(package) == found


@pytest.mark.parametrize("file", ["src/package/code.py", "src/new.py", SCRIPT])
def test_other_code_is_told(tree: Path, file: str) -> None:
    clean = commit(tree)
    (tree / file).write_text("2\n")
    assert commit(tree / "src/package") == f"{clean}-dirty"


def test_without_a_repository_the_commit_is_not_known(tmp_path: Path) -> None:
    assert commit(tmp_path) is None
