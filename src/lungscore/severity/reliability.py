"""How far the numbers of one scan can be relied on: one grade from stated rules."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from lungscore.errors import STANDING
from lungscore.severity.category import Category

Grade = Literal["A", "B", "C", "D"]

#: From the best to the worst.
GRADES: tuple[Grade, ...] = get_args(Grade)

GRADE_MEANS: dict[Grade, str] = {
    "A": "nothing to object to",
    "B": "look at what is named",
    "C": "a number is doubtful",
    "D": "not usable: the category is withheld",
}

#: Notices that leave every number as good as without them: of all scans, or of what the user chose.
UNOBJECTIONABLE = STANDING | {
    "device-replaced",
    "duplicate-file",
    "edges-blank",
    "files-ignored",
    "header-incomplete",
    "no-ct",
    "slices-blank",
    "user-lobes",
    "user-lungs",
}

#: Notices after which a number may be wrong, although a category is given.
DOUBTFUL = frozenset(
    {
        "air-outside-lungs",
        "approximate-8bit",
        "averaged-images",
        "borderline-category",
        "dense-outside-lungs",
        "gaps-interpolated",
        "gas-below-diaphragm",
        "hu-implausible",
        "lesions-outside",
        "lobe-missing",
        "lobes-incomplete",
        "lung-density",
        "lung-volume",
        "lungs-cut-sideways",
        "lungs-disagree",
        "lungs-outline",
        "lungs-uneven",
        "one-lung",
        "rescale-missing",
        "slices-abrupt",
        "solid-lung",
    }
)

#: Sums up what other codes say, and is not a reason itself.
SUMMARY = "severity-withheld"


@dataclass(frozen=True)
class Reliability:
    """The grade, and the codes of the notices it rests on, worst first; none for A."""

    grade: Grade
    reasons: tuple[str, ...]


def reliability(
    category: Category | None, withheld: Sequence[str], notice_codes: Iterable[str]
) -> Reliability:
    """Grade one scan: the worst that a notice or the category calls for (docs/severity.md).

    category: None where withheld, for the reasons ``withheld``. notice_codes: of all notices.
    """
    codes = dict.fromkeys(notice_codes)
    graded = [(code, grade_of(code, withheld)) for code in (*withheld, *codes)]
    reasons: dict[str, Grade] = {
        code: grade for code, grade in graded if grade != "A" and code != SUMMARY
    }
    grade: Grade = "D" if category is None else max(reasons.values(), default="A")
    worst_first = sorted(reasons, key=lambda code: reasons[code], reverse=True)
    return Reliability(grade, tuple(worst_first))


def grade_of(code: str, withheld: Sequence[str] = ()) -> Grade:
    """The best grade that a scan with the notice ``code`` can have."""
    if code in withheld or code == SUMMARY:
        return "D"
    if code in DOUBTFUL:
        return "C"
    return "A" if code in UNOBJECTIONABLE else "B"
