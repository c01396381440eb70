"""A result.json whose every field was looked at."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lungscore.result.numbers import MEASURES, stored_value, value_at
from lungscore.result.schema import Result
from lungscore.result.stored import damaged, read_stored

#: Keys that a result must have wherever they belong; others may be missing, as later versions add
#: some: their numbers are then null.
KEYS = (
    *("case", "input", "lungs", "burden", "scores", "severity"),
    *("lobes", "slices", "detection", "warnings", "models", "engine"),
    *("shape", "spacing_mm", "series_uid", "sides_known", "infection_percent"),
    *("code", "message", "name", "version", "sha256", "precision"),
)


def read_valid(path: Path, called: str) -> dict[str, Any]:
    """The content of the result.json at ``path``, valid but for keys that other versions add or
    lack.

    called: what messages call it. Raises InputError ``input-unreadable``, ``case-damaged`` or
    ``schema-mismatch``.
    """
    content = read_stored(path, called)
    try:
        Result.model_validate(content)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            added = problem["type"] == "extra_forbidden"
            lacks = problem["type"] == "missing" and problem["loc"][-1] not in KEYS
            if not (added or lacks):
                where = ".".join(str(key) for key in problem["loc"])
                raise damaged(called, f"{where}: {problem['msg']}") from None
    for number in MEASURES.values():
        try:
            stored_value(number, value_at(content, number.path))
        except ValueError as error:
            raise damaged(called, str(error)) from None
    return content
