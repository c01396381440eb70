"""The one place that says which version this is."""

from functools import cache

__version__ = "0.1.0"

#: Stands on every report and in ``lungscore --version``.
RESEARCH_USE = "Research use only. Not a medical device."


@cache
def commit() -> str | None:
    """The commit of the code that runs, with a plus sign where its files differ from it.

    None where the code does not lie in a git repository of its own.
    """
    import shutil
    import subprocess
    from pathlib import Path

    git, source = shutil.which("git"), Path(__file__).parent
    if git is None:
        return None

    def answer(*words: str) -> str:
        command = [git, "-C", str(source), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own)
        return done.stdout.strip() if done.returncode == 0 else ""

    # In a virtual environment inside a repository, git would answer for the files around it.
    if not answer("ls-files", "--", "version.py"):
        return None
    return answer("rev-parse", "HEAD") + ("+" if answer("status", "--porcelain", "--", ".") else "")
