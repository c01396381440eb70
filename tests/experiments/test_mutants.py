"""The small changes that a mutation run makes, and the page of its results."""

import ast
import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "experiments" / "mutants"))
    for name in ("changes", "page"):
        sys.modules.pop(name, None)


def changed(source: str) -> list[str]:
    """The module as every change makes it."""
    changes = importlib.import_module("changes")
    texts = []
    for number in range(len(changes.changes_of(ast.parse(source)))):
        tree = ast.parse(source)
        changes.changes_of(tree)[number].apply()
        texts.append(ast.unparse(tree))
    return texts


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", ["a <= b", "a >= b"]),
        ("x = a + 1", ["x = a - 1", "x = a + 2"]),
        ("x = 0.5", ["x = 0.55"]),
        ("x = a and not b", ["x = a or not b", "x = a and b"]),
        ("x = 'code'", ["x = 'XX'"]),
        ("x = 'a sentence'", ["x = ''"]),
        ("x = f'a {b} c'", ["x = ''"]),
        ("x = b if c else d", ["x = b", "x = d"]),
        ("x = c.any()", ["x = c.all()"]),
        ("f(strict=True)", ["pass"]),
        ("raise E('a sentence', code='x')", ["pass", "raise E('a sentence', code='XX')"]),
        ("def f(a: int=1) -> 'T':\n    return a", None),
        ("'A docstring.'", []),
    ],
)
def test_a_statement_is_changed_in_every_way(source: str, expected: list[str] | None) -> None:
    changes = changed(source)
    if expected is None:
        expected = [
            "def f(a: int=2) -> 'T':\n    return a",
            "def f(a: int=1) -> 'T':\n    return None",
        ]
    assert sorted(changes) == sorted(expected)


def test_properties_and_tables_are_changed_too() -> None:
    source = "LIMITS = (1, 2)\nclass A:\n    @property\n    def b(self):\n        return self.c > 3"
    assert len(changed(source)) == 2 + 4


def test_the_page_is_that_of_the_results() -> None:
    page = importlib.import_module("page")
    results, reasons = page.load(page.RESULTS), page.load(page.REASONS)
    modules = page.load(page.PLAN)["modules"]
    assert page.PAGE.read_text(encoding="utf-8") == page.page(results, reasons, modules)
    assert set(results) <= set(modules)
