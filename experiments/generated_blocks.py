"""Text in pages that a command writes: between the lines "<!-- NAME: begin -->" and "end"."""

import re
from pathlib import Path

from lungscore.files import atomic_write


def block_of(page: str, name: str) -> str:
    """What stands between the lines of ``name``. Raises ValueError unless they are there once."""
    blocks = re.findall(_pattern(name), page, re.S)
    if len(blocks) != 1:
        raise ValueError(f"the page has {len(blocks)} blocks {name!r}")
    return str(blocks[0])


def write_block(path: Path, name: str, text: str) -> None:
    """Put ``text`` between the lines of ``name`` in the page ``path``."""
    page = path.read_text(encoding="utf-8")
    block_of(page, name)
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    filled = "\n\n".join((begin, text.strip("\n"), end))
    atomic_write(path, re.sub(f"{begin}.*?{end}", lambda _: filled, page, flags=re.S))


def _pattern(name: str) -> str:
    return f"<!-- {name}: begin -->\n\n(.*?)\n\n<!-- {name}: end -->"
