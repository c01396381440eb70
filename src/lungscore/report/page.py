"""report.html: one file, no script, nothing loaded from elsewhere."""

import base64
import io
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from lungscore.labels import LOBE_NAMES, LOBE_ORDER, REGIONS
from lungscore.report.pictures import COLOURS, LUNG_WINDOW, Picture
from lungscore.report.text import (
    RANGE_MEANS,
    detection_text,
    lesions_text,
    number_text,
    range_text,
    span_of,
)
from lungscore.result import Analysis, Result, to_result
from lungscore.result.numbers import (
    NUMBERS,
    SHARES,
    Number,
    region_percent,
    region_score,
    value_at,
)
from lungscore.severity import BANDS, FLOOR_PERCENT, RULE
from lungscore.severity.category import MODERATE_ABOVE, SEVERE_ABOVE
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


def render_page(
    analysis: Analysis, *, slices: list[Picture], overview: list[Picture], curve: bytes | None
) -> str:
    """The report as self-contained HTML; all text is escaped by the template engine."""
    template = files("lungscore.report").joinpath("report.html.j2").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    result = to_result(analysis)
    return environment.from_string(template).render(
        result=result,
        research_use=RESEARCH_USE,
        version=__version__,
        colours=COLOURS,
        value=lambda name: NUMBERS[name].value(result),
        text=lambda name: number_text(NUMBERS[name], NUMBERS[name].value(result)),
        title=lambda name: NUMBERS[name].title,
        range=lambda name: range_text(result, NUMBERS[name]),
        whisker=lambda name: whisker(result, NUMBERS[name]),
        range_means=RANGE_MEANS,
        rows=score_rows(result),
        infection_marks=INFECTION_MARKS,
        rule=RULE,
        lobes=[(name, LOBE_NAMES[name]) for name in LOBE_ORDER],
        has_lobes=analysis.lobes is not None,
        bands=_bands(result),
        shares=SHARES,
        lesions=lesions_text(result),
        detection=detection_text(result),
        affected=_affected(result),
        regions=_regions(result) if analysis.regions is not None else [],
        approximate=_approximate(analysis),
        slices=[embedded(picture) for picture in slices],
        overview=[embedded(picture) for picture in overview],
        curve=None if curve is None else data_uri(curve, "png"),
        shown=_shown(analysis),
        has_ct=analysis.has_ct,
        facts=_facts(result),
    )


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


def _regions(result: Result) -> list[list[tuple[str, str, str, str]]]:
    """Right and left column: name, percent, its range, score of each region."""
    columns: list[list[tuple[str, str, str, str]]] = [[], []]
    for name, lobe in REGIONS:
        number, points = region_percent(name), region_score(name).value(result)
        score = "–" if points is None else str(points)
        percent = number_text(number, number.value(result))
        columns[lobe.startswith("L")].append((name, percent, range_text(result, number), score))
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
        facts.append(("engine", f"{result.engine.name}, {result.engine.precision}"))
    return facts


def embedded(picture: Picture) -> dict[str, str | int]:
    """A picture as data: the slice as JPEG, its contours as a small PNG to lay over it."""
    grey, contours = io.BytesIO(), io.BytesIO()
    picture.image.save(grey, "JPEG", quality=82)
    picture.contours.save(
        contours, "PNG", transparency=picture.contours.info["transparency"], bits=4
    )
    size: tuple[int, int] = picture.image.size
    return {
        "image": data_uri(grey.getvalue(), "jpeg"),
        "contours": data_uri(contours.getvalue(), "png"),
        "caption": picture.caption,
        "width": size[0],
        "height": size[1],
    }


def data_uri(content: bytes, kind: str) -> str:
    """An image (kind: png, jpeg) as the source of an img element."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
