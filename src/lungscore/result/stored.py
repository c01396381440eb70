"""Reading a result.json back."""

import json
from pathlib import Path
from typing import Any

from lungscore.errors import InputError

SCHEMA = "lungscore.result/1"

#: Bytes that no result.json reaches: a slice takes about 200.
LONGEST = 2**26


def read_stored(path: Path, called: str) -> dict[str, Any]:
    """The content of the result.json at ``path``, of our schema; its fields are not looked at.

    called: what messages call it. Raises InputError ``input-unreadable``, ``case-damaged`` or
    ``schema-mismatch``.
    """
    try:
        if path.stat().st_size > LONGEST:
            raise ValueError("it is longer than any result")
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
        json.dumps(content, allow_nan=False)  # 1e999 is read as infinite
    except OSError as error:
        found = f"{called} cannot be read ({error.strerror})"
        raise InputError("input-unreadable", found) from None
    except (ValueError, RecursionError) as error:
        found = f"it is not JSON written by lungscore ({str(error)[:80]})"
        raise damaged(called, found) from None
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise InputError(
            "schema-mismatch",
            f"{called} has the schema {str(schema)[:60]!r}",
            expected=repr(SCHEMA),
            hint="Analyse the scan again with this version",
        )
    return content


def damaged(called: str, found: str, *, expected: str = "") -> InputError:
    """The error ``case-damaged`` of a result.json."""
    hint = "analyse the scan again"
    return InputError("case-damaged", f"{called} is damaged: {found}", expected=expected, hint=hint)


def _refuse(constant: str) -> None:
    raise ValueError(f"it holds {constant}")
