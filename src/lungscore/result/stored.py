"""Reading result.json back: one, or those of a folder of cases."""

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lungscore.errors import InputError

SCHEMA = "lungscore.result/1"

#: The name of a case's file.
RESULT = "result.json"
#: Beside it, where it was asked for.
IDENTIFIERS = "identifiers.json"

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
        # 1e999 is read as infinite, and half of a character can be escaped.
        json.dumps(content, allow_nan=False, ensure_ascii=False).encode("utf-8")
    except OSError as error:
        fault = f"{called} cannot be read ({error.strerror})"
        raise InputError("input-unreadable", fault) from None
    except (ValueError, RecursionError) as error:
        fault = f"it is not JSON written by lungscore ({str(error)[:80]})"
        raise damaged(called, fault) from None
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise InputError(
            "schema-mismatch",
            f"{called} has the schema {str(schema)[:60]!r}",
            expected=repr(SCHEMA),
            hint="Analyse the scan again with this version",
        )
    return content


def stored_version(folder: Path) -> str | None:
    """The version of lungscore that ``folder``/run.json names; None where it does not."""
    try:
        content = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        return printable(str(content["lungscore"]))
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return None


def stored_identifiers(folder: Path) -> dict[str, str | None]:
    """What ``folder``/identifiers.json holds; nothing where there is none, or no such thing."""
    try:
        content = json.loads((folder / IDENTIFIERS).read_text(encoding="utf-8"))
        return {str(k): printable(v) for k, v in content.items() if isinstance(v, str)}
    except (OSError, ValueError, RecursionError, AttributeError):
        return {}


def read_results(folder: Path) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """Case, path and content of every result.json of a folder of cases, or of one case's folder.

    Raises InputError ``input-not-found``, ``input-empty``, ``input-unreadable``,
    ``schema-mismatch`` or ``case-damaged``, also where two folders hold one case.
    """
    called = printable(folder.name or folder.resolve().name)
    if not folder.is_dir():
        raise InputError("input-not-found", f"No such folder: {called}")
    results = [folder / RESULT]
    if not results[0].is_file():
        children = sorted(child for child in folder.iterdir() if not child.name.startswith("."))
        results = [path for child in children if (path := child / RESULT).is_file()]
    if not results:
        raise InputError(
            "input-empty",
            f"{called} contains no results",
            expected="a folder of results written by lungscore analyze or score, or a CSV table",
        )
    seen: set[str] = set()
    for path in results:
        content = read_stored(path, place_of(path))
        if not isinstance(content.get("case"), str):
            raise damaged(place_of(path), "it names no case")
        case = printable(content["case"])
        if case in seen:
            raise InputError("case-damaged", f"Two folders of {called} contain the case {case}")
        seen.add(case)
        yield case, path, content


def damaged(called: str, fault: str, *, expected: str = "") -> InputError:
    """The error ``case-damaged`` of a result.json."""
    hint = "analyse the scan again"
    return InputError("case-damaged", f"{called} is damaged: {fault}", expected=expected, hint=hint)


def _refuse(constant: str) -> None:
    raise ValueError(f"it holds {constant}")


def place_of(path: Path) -> str:
    """What messages call a result.json."""
    return printable(f"{path.parent.name}/{path.name}")


def printable(text: str) -> str:
    """``text`` in one Unicode form, without control characters or bytes that are not UTF-8."""
    text = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode())
    return "".join(" " if unicodedata.category(c)[0] == "C" else c for c in text).strip()
