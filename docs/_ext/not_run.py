"""A line below each block of commands that no test runs, with the reason (docs/not-run.yaml)."""

from pathlib import Path
from typing import Any

import yaml
from docutils import nodes

DOCS = Path(__file__).parents[1]


def reasons() -> dict[str, dict[str, str]]:
    """Page, as seen from the root of the repository -> beginning of a command -> reason."""
    content: dict[str, dict[str, str]] = yaml.safe_load((DOCS / "not-run.yaml").read_text("utf-8"))
    return content


def reason_for(page: str, command: str) -> str | None:
    """Why no test runs ``command`` of ``page``; None where one does."""
    of_page = reasons().get(page, {})
    for beginning, reason in of_page.items():
        if beginning != "*" and command.startswith(beginning):
            return reason
    return of_page.get("*")


def setup(app: Any) -> dict[str, bool]:
    """Mark the blocks of every page once it is read."""
    app.connect("doctree-read", _mark)
    return {"parallel_read_safe": True}


def _mark(app: Any, doctree: nodes.document) -> None:
    page = f"docs/{app.env.docname}.md"
    for block in list(doctree.findall(nodes.literal_block)):
        lines = [line.strip().removeprefix("$ ") for line in block.astext().splitlines()]
        commands = [line for line in lines if line.startswith("lungscore ")]
        told = dict.fromkeys(filter(None, (reason_for(page, line) for line in commands)))
        if told:
            text = f"No test runs this as shown: {'; '.join(told)}."
            mark = nodes.paragraph(text, text, classes=["not-run"])
            block.parent.insert(block.parent.index(block) + 1, mark)
