"""The tables of docs/anatomy.md are those that its result files give."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_page_holds_the_tables_of_its_result_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "experiments" / "lungs"), *sys.path])
    from lungs_page import with_tables

    page = (ROOT / "docs" / "anatomy.md").read_text(encoding="utf-8")
    assert with_tables(page) == page
