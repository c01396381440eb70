"""review.json of CASE/reviews/<reader>/: who reviewed a case, and what came of it."""

import json
from pathlib import Path
from typing import Any

from lungscore.report.case_folder import REVIEWS

SCHEMA = "lungscore.review/1"
REVIEW = "review.json"
VERDICTS = ("accepted", "corrected", "rejected")


def review_content(folder: Path) -> dict[str, Any]:
    """The review.json in ``folder``. Raises ValueError if it is not one."""
    try:
        content = json.loads((folder / REVIEW).read_text(encoding="utf-8"))
        whole = content["schema"] == SCHEMA and content["verdict"] in VERDICTS
        whole = whole and all(isinstance(content[key], str) for key in ("reader", "comment", "at"))
    except (OSError, RecursionError, LookupError, TypeError) as error:
        raise ValueError(str(error)) from None
    if not whole:
        raise ValueError("it is another schema")
    return dict(content)


def review_folders(case: Path) -> list[Path]:
    """The folders of saved reviews of the case in ``case``, in the order of their names."""
    paths = sorted((case / REVIEWS).glob(f"*/{REVIEW}"))
    return [path.parent for path in paths if not path.parent.name.startswith(".")]


def verdicts_of(case: Path) -> dict[str, str]:
    """reader -> verdict of the saved reviews of a case; one that cannot be read is left out."""
    verdicts = {}
    for folder in review_folders(case):
        try:
            content = review_content(folder)
        except ValueError:
            continue
        verdicts[content["reader"]] = content["verdict"]
    return verdicts
