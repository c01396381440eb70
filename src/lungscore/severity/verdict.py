"""From numbers to what is said of the patient: a category, or why there is none."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from lungscore.errors import Notice
from lungscore.severity.category import (
    UNSUITABLE,
    UNTRUSTED,
    WITHHOLDING,
    Category,
    categorise,
    outcomes_text,
    withheld_codes,
)
from lungscore.severity.edges import FLOOR_PERCENT
from lungscore.severity.numbers import Numbers
from lungscore.severity.scores import Score
from lungscore.severity.severity import Ranges, Severity


@dataclass(frozen=True)
class Verdict:
    """What the numbers say of the patient: ``category`` to ``infected`` of Severity."""

    category: Category | None
    basis: str
    withheld: tuple[str, ...]
    infected: bool | None


def verdict_on(
    numbers: Numbers, *, depth: int, sides_known: bool, notice_codes: Collection[str]
) -> Verdict:
    """The category of ``numbers``, or the codes that withhold it.

    depth: slices of the scan; those of ``numbers`` may be counted together. sides_known: whether
    right and left are known. notice_codes: what is noted about the scan.
    """
    infection_percent = numbers.lungs.infection_percent
    withheld = withheld_codes(
        lungs_ml=numbers.lungs.volume_ml,
        depth=depth,
        sides_known=sides_known,
        in_lobes_percent=numbers.in_lobes_percent,
        notice_codes=notice_codes,
    )
    category, basis, withheld = _category(
        infection_percent, numbers.scores["ct_ss"], withheld, notice_codes
    )
    infected = None
    if infection_percent is not None and not UNSUITABLE & set(withheld):
        infected = infection_percent >= FLOOR_PERCENT
    return Verdict(category, basis, withheld, infected)


def _category(
    infection_percent: float | None,
    ct_ss: Score,
    withheld: tuple[str, ...],
    notice_codes: Collection[str],
) -> tuple[Category | None, str, tuple[str, ...]]:
    if withheld or infection_percent is None or ct_ss.total is None:
        withheld = withheld or ("not-computable",)
        reasons = "; ".join(WITHHOLDING[code] for code in withheld)
        return None, f"withheld: {reasons}", withheld
    category, reason = categorise(infection_percent, ct_ss)
    untrusted = tuple(code for code in UNTRUSTED if code in notice_codes)
    if category == "none" and untrusted:
        reasons = "; ".join(UNTRUSTED[code] for code in untrusted)
        return None, f"withheld: {reason} in what was found, but {reasons}", untrusted
    return category, reason, withheld


def with_ranges(severity: Severity, ranges: Ranges, *, unsure: bool) -> Severity:
    """``severity`` with its ranges, its category withheld where the readings are too ``unsure``.

    Borders of lobes widen the ranges, but withhold no category.
    """
    if severity.category is None or not unsure:
        notices = (*severity.notices, *_borderline(severity, ranges))
        return replace(severity, ranges=ranges, notices=notices)
    code = "uncertain-infection"
    mildest, gravest = ranges.categories[0], ranges.categories[-1]
    reason = f"{WITHHOLDING[code]}: read otherwise, it says {mildest} to {gravest}"
    span = ranges.burden["infection_percent"]
    sure = span is not None and (span[0] >= FLOOR_PERCENT or span[1] < FLOOR_PERCENT)
    return replace(
        severity,
        category=None,
        basis=f"withheld: {reason}",
        withheld=(code,),
        infected=severity.infected if sure else None,
        notices=(
            *severity.notices,
            Notice(code, reason),
            Notice("severity-withheld", f"No severity category is given: {reason}"),
        ),
        ranges=replace(ranges, categories=()),
    )


def _borderline(severity: Severity, ranges: Ranges) -> Iterator[Notice]:
    """What to say of a category that other readings share an edge with."""
    if severity.category is None or len(ranges.categories) < 2:
        return
    text = outcomes_text(
        severity.category, ranges.categories, ranges.burden.get("infection_percent")
    )
    message = f"The category is {text}"
    near, ct_ss = severity.ct_ss.near_edge, severity.ct_ss
    cleared = replace(ct_ss, total=ct_ss.total_cleared)
    if ct_ss.above_cutoff and not cleared.above_cutoff:
        message += f": {len(near)} regions with 0.5 to 2 % of opacity tip it"
    yield Notice("borderline-category", message)
