"""report.html: one file with one script of its own, nothing loaded from elsewhere."""

import json
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from lungscore.labels import LOBE_NAMES, LOBE_ORDER, LOBES, REGIONS
from lungscore.report.drawings import SHADES, lobe_map, opacity_curve
from lungscore.report.embedding import css_string, embedded, script_hash
from lungscore.report.pictures import COLOURS, LUNG_WINDOW, Picture, headline_pictures
from lungscore.report.settings import DEFAULT, ReportSettings
from lungscore.report.text import (
    RANGE_MEANS,
    detection_text,
    lesions_text,
    number_text,
    on_borders,
    range_text,
    span_of,
)
from lungscore.report.viewer import WINDOWS, slice_stack, slices_of_parts
from lungscore.result import Analysis, Result, Warning_, to_result
from lungscore.result.numbers import (
    NUMBERS,
    SHARES,
    Number,
    lobe_number,
    region_percent,
    region_score,
    value_at,
)
from lungscore.scan.scan import Identifiers
from lungscore.severity import BANDS, FLOOR_PERCENT, GRADE_MEANS, RULE, Grade
from lungscore.severity.category import MODERATE_ABOVE, SEVERE_ABOVE
from lungscore.severity.edges import near_floor
from lungscore.severity.reliability import SUMMARY, grade_of
from lungscore.version import RESEARCH_USE, __version__


@dataclass(frozen=True)
class ScoreRow:
    """One line of the table of scores. filled, marks: positions on the scale in percent.

    key: what result.numbers calls the score.
    """

    key: str
    name: str
    value: str
    filled: float | None
    marks: tuple[float, ...]
    meaning: str
    reason: str | None


@dataclass(frozen=True)
class RegionRow:
    """One of the 20 regions. slice: where it is most infected, None where it has no voxels."""

    name: str
    percent: str
    range: str
    score: str
    near_edge: bool
    border_dependent: bool
    slice: int | None


def render_page(
    analysis: Analysis,
    *,
    slices: list[Picture],
    overview: list[Picture],
    settings: ReportSettings = DEFAULT,
    analysed_on: str | None = None,
) -> str:
    """The report as self-contained HTML; all text is escaped by the template engine.

    analysed_on: the date of the analysis, as it is shown.
    """
    folder = files("lungscore.report")
    style, script, template = (
        folder.joinpath(name).read_text("utf-8")
        for name in ("report.css", "viewer.js", "report.html.j2")
    )
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    result = to_result(analysis)
    pictures = {
        "slices": list(map(embedded, slices)),
        "overview": list(map(embedded, overview)),
        "headline_pictures": list(map(embedded, headline_pictures(analysis, overview))),
    }
    taken = sum(len(str(picture)) for group in pictures.values() for picture in group)
    stack = slice_stack(analysis, taken=taken) if settings.size == "full" else None
    grade: Grade = NUMBERS["reliability"].value(result)
    return environment.from_string(template).render(
        result=result,
        research_use=RESEARCH_USE,
        version=__version__,
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        script_hash=script_hash(script) if stack else "'none'",
        viewer=stack and Markup(json.dumps(stack)),  # noqa: S704 - numbers, base64, own words
        windows=_windows(analysis),
        page_name=Markup(css_string(result.case)),  # noqa: S704 - escaped
        identity=_identity(result, analysed_on, settings, analysis.scan.identifiers),
        grade=grade,
        grade_means=GRADE_MEANS[grade],
        grades=GRADE_MEANS,
        particular=_particular(result),
        standing=[notice for notice in result.warnings if notice.kind == "standing"],
        lobe_map=_lobe_map(analysis, result),
        shades=[(said, fill) for _, said, fill, _ in SHADES],
        colours=COLOURS,
        value=lambda name: NUMBERS[name].value(result),
        text=lambda name: number_text(NUMBERS[name], NUMBERS[name].value(result)),
        title=lambda name: NUMBERS[name].title,
        range=lambda name: range_text(result, NUMBERS[name]),
        whisker=lambda name: whisker(result, NUMBERS[name]),
        range_means=RANGE_MEANS,
        rows=score_rows(result),
        near_edge=len(analysis.severity.ct_ss.near_edge),
        infection_marks=INFECTION_MARKS,
        rule=RULE,
        lobes=_lobes(analysis, result),
        has_lobes=analysis.lobes is not None,
        bands=_bands(result),
        shares=SHARES,
        lesions=lesions_text(result),
        detection=detection_text(result),
        affected=_affected(result),
        regions=_regions(analysis, result) if analysis.regions is not None else [],
        approximate=_approximate(analysis),
        **pictures,
        curve=opacity_curve(analysis.severity),
        shown=_shown(analysis),
        has_ct=analysis.has_ct,
        facts=_facts(result),
    )


def _windows(analysis: Analysis) -> list[tuple[str, int, int]]:
    """Name, level and width in HU; none without Hounsfield units."""
    if not analysis.has_ct or analysis.scan.units == "grey":
        return []
    return [(name, level, width) for name, (level, width) in WINDOWS.items()]


def _identity(
    result: Result,
    analysed_on: str | None,
    settings: ReportSettings,
    identifiers: Identifiers | None,
) -> str:
    """What was analysed, when, and with what; the series' own description only if asked for."""
    count = "1 slice" if result.input.slices == 1 else f"{result.input.slices} slices"
    phrases = [
        f"{result.input.kind}, {count}",
        *(
            [identifiers.series_description]
            if settings.identifiers and identifiers and identifiers.series_description
            else []
        ),
        *([result.method] if result.method else []),
        *([f"analysed {analysed_on}"] if analysed_on else []),
        f"lungscore {__version__}",
    ]
    return " · ".join(phrases)


def _particular(result: Result) -> list[Warning_]:
    """Notices about this scan, worst first; without the one that sums others up."""
    withheld = result.severity.withheld
    notices = [n for n in result.warnings if n.kind == "particular" and n.code != SUMMARY]
    return sorted(notices, key=lambda notice: grade_of(notice.code, withheld), reverse=True)


def _lobes(analysis: Analysis, result: Result) -> list[tuple[str, str, bool, bool, int | None]]:
    """Short and long name, near the floor, dependent on a border, and its slice, of each lobe."""
    slices = _slices_of_lobes(analysis)
    lobes = analysis.severity.lobes
    return [
        (
            name,
            LOBE_NAMES[name],
            name in lobes and near_floor(lobes[name].infection_percent),
            name in on_borders(result, "lobes"),
            slices[name],
        )
        for name in LOBE_ORDER
    ]


def _slices_of_lobes(analysis: Analysis) -> dict[str, int | None]:
    slices = slices_of_parts(analysis, analysis.lobes, len(LOBES))
    return {name: slices[LOBES[name] - 1] for name in LOBE_ORDER}


def _lobe_map(analysis: Analysis, result: Result) -> Markup | None:
    if analysis.lobes is None:
        return None
    percents = {name: lobe_number(name, "infection_percent").value(result) for name in LOBE_ORDER}
    return lobe_map(percents, _slices_of_lobes(analysis))


def score_rows(result: Result) -> list[ScoreRow]:
    """Every score with its scale, its cut-off and one line of meaning."""
    content = result.model_dump()

    def row(key: str, meaning: str, *marks: float, name: str | None = None) -> ScoreRow:
        number = NUMBERS[key]
        value = number.value(result)
        filled = None if value is None else _place(number, value)
        reason = None if value is not None or not number.because else number.because
        return ScoreRow(
            key,
            name or number.title,
            number_text(number, value),
            filled,
            tuple(100 * mark / number.highest for mark in marks),
            meaning,
            None if reason is None else value_at(content, reason),
        )

    cutoff = result.scores.ct_ss.cutoff
    return [
        row(
            "ct_ss",
            f"20 regions, each 0 (< 1 %), 1 (< 50 %) or 2 (≥ 50 % opacity). Severe above the "
            f"mark at {cutoff} (Yang 2020).",
            cutoff,
        ),
        row(
            "ctsi", "Five lobes, each 0–5: < 1 %, < 5 %, ≤ 25 %, < 50 %, ≤ 75 %, above (Pan 2020)."
        ),
        row(
            "tss",
            "Five lobes, each 0–4: < 1 %, ≤ 25 %, ≤ 50 %, ≤ 75 %, above (TSS, Chung 2020; "
            "LSS, Chaganti 2020, has the same thresholds).",
            name=f"{NUMBERS['tss'].title}, {NUMBERS['lss'].title}",
        ),
        row("lhos", "As LSS, counting only opacity of −200 HU or denser (Chaganti 2020)."),
        row("po", "Share of the lungs with opacity (percentage of opacity, Chaganti 2020)."),
        row(
            "pho",
            "Share of the lungs with opacity of −200 HU or denser (Chaganti 2020).",
        ),
        row(
            "mosmed",
            "Of both lungs: CT-0 < 1 %, CT-1 ≤ 25 %, CT-2 ≤ 50 %, CT-3 ≤ 75 %, CT-4 above.",
        ),
        row("zones", "Upper, middle and lower third of each lung, each 0–4 as TSS."),
    ]


def _place(number: Number, value: float | str) -> float:
    """Where ``value`` lies on the scale of ``number``, in percent."""
    step = number.classes.index(value) if isinstance(value, str) else value
    return 100 * step / number.highest


def whisker(result: Result, number: Number) -> tuple[float, float] | None:
    """From where to where the range of ``number`` lies on its scale; None without one."""
    span = span_of(result, number)
    if span is None or span[0] == span[1]:
        return None
    return _place(number, span[0]), _place(number, span[1])


def _bands(result: Result) -> list[tuple[str, str, str, str, float | None, str]]:
    """Title, edges in HU, millilitres, percent as text and number, colour of each band."""
    rows = []
    for (name, band), colour in zip(BANDS.items(), BAND_COLOURS, strict=True):
        percent, volume = NUMBERS[f"{name}_percent"], NUMBERS[f"{name}_ml"]
        share, millilitres = percent.value(result), volume.value(result)
        edges = [
            f"{edge:+d}".replace("-", "−") for edge in (band.low, band.high) if edge is not None
        ]
        said = " to ".join(edges)
        if band.low is None or band.high is None:
            said = f"below {said}" if band.low is None else f"above {said}"
        shown = "–" if millilitres is None else number_text(volume, millilitres)
        rows.append((percent.title, said, shown, number_text(percent, share), share, colour))
    return rows


#: Marks on the scale of infection percent: the category's own edges.
INFECTION_MARKS = (MODERATE_ABOVE, SEVERE_ABOVE)


#: Of the bands (severity.BANDS), from air to bone; distinct in grey too.
BAND_COLOURS = ("#dbe9f3", "#8fbcd9", "#e2a54b", "#a8480f", "#3d3d3d")


def _affected(result: Result) -> str | None:
    """How many lungs and lobes have 1 % or more of opacity each; None where not known.

    Both are counted by their own percentages: a lobe may reach 1 % where its lung does not.
    """
    bilateral, affected = (NUMBERS[name].value(result) for name in ("bilateral", "lobes_affected"))
    sides = [NUMBERS[f"{side}_percent"].value(result) for side in ("right", "left")]
    phrases = []
    if bilateral is not None:
        reached = any(share is not None and share >= FLOOR_PERCENT for share in sides)
        phrases.append(f"{2 if bilateral else int(reached)} of 2 lungs")
    if affected is not None:
        phrases.append(f"{affected} of {len(LOBE_ORDER)} lobes")
    return ", ".join(phrases) or None


def _regions(analysis: Analysis, result: Result) -> list[list[RegionRow]]:
    """The right and the left lung's."""
    columns: list[list[RegionRow]] = [[], []]
    slices = slices_of_parts(analysis, analysis.regions, len(REGIONS))
    parts = analysis.severity.ct_ss.parts
    for (name, lobe), z in zip(REGIONS, slices, strict=True):
        number, points = region_percent(name), region_score(name).value(result)
        row = RegionRow(
            name=name,
            percent=number_text(number, number.value(result)),
            range=range_text(result, number),
            score="–" if points is None else str(points),
            near_edge=name in parts and parts[name].near_edge,
            border_dependent=name in on_borders(result, "regions"),
            slice=z,
        )
        columns[lobe.startswith("L")].append(row)
    return columns


def _approximate(analysis: Analysis) -> dict[str, bool]:
    codes = {notice.code for notice in analysis.notices}
    return {"lobes": "approximate-lobes" in codes, "regions": "approximate-regions" in codes}


def _shown(analysis: Analysis) -> str:
    """What the grey values of the pictures are."""
    if not analysis.has_ct:
        return "No CT was given: the lungs are drawn in grey."
    if analysis.scan.units == "grey":
        return "Grey levels as in the input."
    level, width = LUNG_WINDOW
    return f"Lung window: level {level} HU, width {width} HU.".replace("-", "−")


def _facts(result: Result) -> list[tuple[str, str]]:
    """The small print: what was read and what it was read with."""
    given = result.input
    unknown = "unknown"
    spacing = (
        " × ".join(f"{v:g}" for v in given.spacing_mm) + " mm" if given.spacing_mm else unknown
    )
    _, rows, columns = given.shape
    count = "1 slice" if given.slices == 1 else f"{given.slices} slices"
    facts = [
        ("input", f"{given.kind}, {count} of {rows} × {columns} pixels"),
        ("voxel size (z, y, x)", spacing),
    ]
    if given.series_uid:
        facts.append(("series", given.series_uid))
    if result.engine:
        facts.append(("engine", result.engine.text))
    return facts
