"""A follow-up in words: changes as a person reads them, the headline, and the plain-text table."""

from lungscore.followup import Change, Comparison
from lungscore.labels import LOBE_ORDER
from lungscore.report.text import ml_text, percent_text
from lungscore.result.numbers import NUMBERS, SCORES, WHOLE, lobe_number
from lungscore.severity import CT_SS_CUTOFF
from lungscore.severity.category import CATEGORIES
from lungscore.version import RESEARCH_USE

#: In place of a number that is null.
NONE = "–"
ARROWS = {"more": "▲", "less": "▼", "same": "="}


def value_text(value: int | float | str | None, unit: str) -> str:
    """One value with its unit."""
    if value is None:
        return NONE
    if isinstance(value, str):
        return value
    if unit == "percent":
        return percent_text(value)
    return ml_text(value) if unit == "ml" else f"{value:g}"


def change_text(change: Change) -> str:
    """A signed change: points of percent, millilitres, points of a score, or steps of a class."""
    if change.change is None:
        return NONE
    if change.direction == "same":
        return "0"
    size = abs(change.change)
    if change.unit == "percent":
        text = f"{size:.1f}"
    elif change.unit == "ml":
        text = ml_text(size)
    else:
        text = f"{size:g}"
        if change.unit == "class":
            text += " step" if size == 1 else " steps"
    return ("−" if change.change < 0 else "+") + text


def range_text(pair: tuple[int | float | str, int | float | str] | None, unit: str) -> str:
    """ "15.0–21.4", or nothing where no range is known."""
    if pair is None:
        return ""
    low, high = (value if isinstance(value, str) else _bare(value, unit) for value in pair)
    # A category is not a scale: between mild and severe, moderate need not be possible.
    between = " or " if low in CATEGORIES else "–"
    return low if low == high else f"{low}{between}{high}"


def ranges_text(change: Change) -> str:
    """Whether the two ranges overlap; empty where they are not known."""
    if change.beyond_range is None:
        return ""
    return "apart" if change.beyond_range else "overlap"


def change_of(comparison: Comparison, name: str) -> Change:
    """The change of the number that result.numbers calls ``name``."""
    return comparison.changes[NUMBERS[name].path]


def within_measurement(comparison: Comparison) -> bool:
    """Whether the change of opacity may come from measuring: its ranges, or the methods."""
    overlap = change_of(comparison, "infection_percent").beyond_range is False
    return overlap or any(notice.code == "methods-differ" for notice in comparison.warnings)


def headline(comparison: Comparison) -> str:
    """One sentence: how much more or less of the lungs is infected."""
    percent = change_of(comparison, "infection_percent")
    millilitres = change_of(comparison, "infection_ml")
    slices = {comparison.earlier.slices, comparison.later.slices}
    where = "the lung in the slice" if slices == {1} else "the lungs"
    if percent.change is None:
        return f"The change of opacity is unknown ({percent.reason})."
    before, after = (value_text(value, "percent") for value in (percent.earlier, percent.later))
    volumes = ""
    if millilitres.change is not None:
        first, second = (value_text(v, "ml") for v in (millilitres.earlier, millilitres.later))
        volumes = f", from {first} to {second}"
    if percent.direction == "same":
        return f"Opacity remained at {after} of {where}{volumes}."
    if within_measurement(comparison):
        return (
            f"No change beyond measurement: opacity of {before} and {after} of {where} "
            f"({change_text(percent)} percentage points){volumes}."
        )
    verb = "rose" if percent.direction == "more" else "fell"
    return (
        f"Opacity {verb} from {before} to {after} of {where} "
        f"({change_text(percent)} percentage points){volumes}."
    )


def second_line(comparison: Comparison) -> str:
    """Category, CT-SS against its cut-off, and what the ranges say of the headline."""
    category, ct_ss = (change_of(comparison, name) for name in ("category", "ct_ss"))
    sentences = []
    if (days := comparison.days) is not None:
        after = "before" if days < 0 else "after"
        apart = "1 day" if abs(days) == 1 else f"{abs(days)} days"
        sentences.append(f"The later scan was made {apart} {after} the earlier one")
    if category.earlier is not None or category.later is not None:
        sentences.append("Severity: " + _turn(category, "not given"))
    if isinstance(ct_ss.earlier, int) and isinstance(ct_ss.later, int):
        sides = [value > CT_SS_CUTOFF for value in (ct_ss.earlier, ct_ss.later)]
        crossed = "" if sides[0] == sides[1] else f", across the cut-off of {CT_SS_CUTOFF}"
        number = NUMBERS["ct_ss"]
        sentences.append(f"{number.title}: {_turn(ct_ss, NONE)} of {number.highest:g}{crossed}")
    infection = change_of(comparison, "infection_percent")
    if infection.beyond_range is not None:
        sentences.append(
            "The ranges do not overlap: the change exceeds them"
            if infection.beyond_range
            else "The ranges overlap: the change may be due to measurement"
        )
    return "".join(f"{sentence}. " for sentence in sentences).strip()


def lobe_rows(comparison: Comparison) -> list[tuple[str, Change]]:
    """(lobe, change of its infected percent), in fixed order; empty where no lobe has any."""
    paths = {lobe: lobe_number(lobe, "infection_percent").path for lobe in LOBE_ORDER}
    rows = [(lobe, comparison.changes[path]) for lobe, path in paths.items()]
    known = any(c.earlier is not None or c.later is not None for _, c in rows)
    return rows if known else []


def text_comparison(comparison: Comparison) -> str:
    """The comparison in plain text, for a terminal."""
    earlier, later = comparison.earlier.case, comparison.later.case
    lines = [f"{earlier} → {later}: {RESEARCH_USE}", "", f"  {headline(comparison)}"]
    lines += [f"  {line}" for line in [second_line(comparison)] if line]
    ranges = any(change.beyond_range is not None for change in comparison.changes.values())
    heads = f"{'earlier':>14}{'later':>14}{'change':>14}" + ("  ranges" if ranges else "")
    lines += ["", f"  {'':<24}{heads}"]
    numbers = [comparison.changes[number.path] for number in (*WHOLE, *SCORES)]
    rows = [(row.title, row) for row in numbers]
    lobes = [(change.title, change) for _, change in lobe_rows(comparison)]
    missing = [title for title, row in rows if row.change is None]
    for title, row in [*((t, e) for t, e in rows if e.change is not None), *lobes]:
        values = [value_text(value, row.unit) for value in (row.earlier, row.later)]
        cells = "".join(f"{cell:>14}" for cell in (*values, change_text(row)))
        lines.append(f"  {title:<24}{cells}  {ranges_text(row)}")
    if missing:
        lines.append(f"  {'not comparable':<24}{', '.join(missing)}")
    if comparison.warnings:
        lines += ["", *(f"  ! {w.code}: {w.message}" for w in comparison.warnings)]
    sides = (("earlier", comparison.earlier), ("later", comparison.later))
    own = [(name, [w.code for w in side.warnings]) for name, side in sides if side.warnings]
    if own:
        lines += ["", *(f"  warnings of the {name}: {', '.join(codes)}" for name, codes in own)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _turn(change: Change, missing: str) -> str:
    """ "23 → 11", or "7, unchanged"."""
    before, after = (missing if v is None else str(v) for v in (change.earlier, change.later))
    return f"{after}, unchanged" if before == after else f"{before} → {after}"


def _bare(value: int | float, unit: str) -> str:
    """A value without its unit, as it is read beside one that has it."""
    if unit == "percent" or (unit == "ml" and value < 10):
        return f"{value:.1f}"
    return f"{value:,.0f}".replace(",", " ")
