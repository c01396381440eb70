"""report.html of a comparison: one page of A4 when printed, no script, nothing loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from lungscore.followup import Change, Comparison, FollowUp
from lungscore.followup.pictures import Pair
from lungscore.followup.text import (
    ARROWS,
    change_text,
    headline,
    lobe_rows,
    range_text,
    ranges_text,
    second_line,
    value_text,
)
from lungscore.labels import LOBE_NAMES, REGIONS
from lungscore.report.embedding import data_uri, embedded
from lungscore.report.pictures import COLOURS, LUNG_WINDOW
from lungscore.result.numbers import NUMBERS, SCORES, WHOLE, lobe_number, region_percent
from lungscore.version import RESEARCH_USE, __version__


@dataclass(frozen=True)
class Row:
    """One line of a table. ranges: whether they overlap; empty where there are none."""

    title: str
    earlier: str
    later: str
    earlier_range: str
    later_range: str
    change: str
    arrow: str
    ranges: str


def render_comparison(
    follow_up: FollowUp, *, pairs: list[Pair], charts: Mapping[str, bytes | None]
) -> str:
    """The report as self-contained HTML; all text is escaped by the template engine."""
    template = files("lungscore.followup").joinpath("comparison.html.j2")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    comparison = follow_up.comparison
    changes = comparison.changes
    changed = [embedded(pair.difference) for pair in pairs if pair.difference is not None]
    return environment.from_string(template.read_text("utf-8")).render(
        comparison=comparison,
        title=lambda name: NUMBERS[name].title,
        headline=headline(comparison),
        second_line=second_line(comparison),
        cautions=[(_sentence(w.message), w.code) for w in comparison.warnings],
        warnings=_warnings(comparison),
        rows=[
            row(changes[number.path].title, changes[number.path]) for number in (*WHOLE, *SCORES)
        ],
        lobes=[
            (LOBE_NAMES[lobe], row(lobe, change), _both(changes[lobe_number(lobe, "ctsi").path]))
            for lobe, change in lobe_rows(comparison)
        ],
        no_lobes=changes[lobe_number("RUL", "infection_percent").path].reason,
        regions=_regions(comparison),
        has_ranges=any(change.beyond_range is not None for change in changes.values()),
        rows_of_pictures=[
            ("earlier", [embedded(pair.earlier) for pair in pairs]),
            ("later", [embedded(pair.later) for pair in pairs]),
            *([("change", changed)] if changed else []),
        ],
        registered=bool(changed),
        levels=[f"{100 * pair.level:.0f} %" for pair in pairs],
        to_scale=all(case.spacing_mm for case in (follow_up.earlier, follow_up.later)),
        shown=_shown(follow_up),
        charts={name: png and data_uri(png, "png") for name, png in charts.items()},
        facts=_facts(comparison),
        colours=COLOURS,
        research_use=RESEARCH_USE,
        version=__version__,
    )


def row(title: str, change: Change) -> Row:
    """One change as it is read."""
    return Row(
        title=title,
        earlier=value_text(change.earlier, change.unit),
        later=value_text(change.later, change.unit),
        earlier_range=range_text(change.earlier_range, change.unit),
        later_range=range_text(change.later_range, change.unit),
        change=change_text(change),
        arrow=ARROWS.get(change.direction or "", ""),
        ranges=ranges_text(change),
    )


def _both(change: Change) -> str:
    return f"{value_text(change.earlier, change.unit)} → {value_text(change.later, change.unit)}"


def _regions(comparison: Comparison) -> list[list[Row]]:
    """The right and the left lung's regions; empty where none is known."""
    columns: list[list[Row]] = [[], []]
    known = False
    for name, lobe in REGIONS:
        change = comparison.changes[region_percent(name).path]
        known |= change.change is not None
        columns[lobe.startswith("L")].append(row(name, change))
    return columns if known else []


def _warnings(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """(whose, messages) of the scans' own warnings; what holds for both is said once."""
    earlier, later = (
        [warning.message for warning in side.warnings]
        for side in (comparison.earlier, comparison.later)
    )
    groups = [
        ("Both", [message for message in earlier if message in later]),
        ("Earlier", [message for message in earlier if message not in later]),
        ("Later", [message for message in later if message not in earlier]),
    ]
    return [(whose, [_sentence(m) for m in messages]) for whose, messages in groups if messages]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _shown(follow_up: FollowUp) -> str:
    """What the grey values of the pictures are."""
    cases = (follow_up.earlier, follow_up.later)
    level, width = LUNG_WINDOW
    said = {
        None: "the lungs in grey, since no CT was given",
        "hu": f"CT in the lung window (level {level} HU, width {width} HU)".replace("-", "−"),
        "grey": "grey levels as they were given",
    }
    texts = [said[case.units] for case in cases]
    if texts[0] == texts[1]:
        return f"Shown: {texts[0]}."
    return f"Earlier: {texts[0]}; later: {texts[1]}."


def _facts(comparison: Comparison) -> list[tuple[str, str]]:
    """The small print: what each examination is and what measured it."""
    facts = []
    for time, side in (("Earlier", comparison.earlier), ("Later", comparison.later)):
        details = [side.case, "1 slice" if side.slices == 1 else f"{side.slices} slices"]
        if side.spacing_mm:
            details.append(" × ".join(f"{v:.3g}" for v in side.spacing_mm) + " mm")
        models = ", ".join(f"model {model.name} {model.version}" for model in side.models)
        details.append(models or "masks as given")
        if side.engine:
            details.append(side.engine.text)
        if side.version:
            details.append(f"lungscore {side.version}")
        facts.append((time, "; ".join(details)))
    return facts
