"""report.html: one file, no script, nothing loaded from elsewhere."""

import base64
import io
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from lungscore.labels import LOBE_NAMES, LOBE_ORDER, REGIONS
from lungscore.report.pictures import COLOURS, LUNG_WINDOW, Picture
from lungscore.report.text import (
    BAND_TITLES,
    RANGE_MEANS,
    detection_text,
    lesions_text,
    ml_text,
    percent_text,
    range_text,
    score_text,
    span_of,
)
from lungscore.result import Analysis, Result, TotalScore, to_result
from lungscore.severity import FLOOR_PERCENT, RULE
from lungscore.severity.category import MODERATE_ABOVE, SEVERE_ABOVE
from lungscore.version import RESEARCH_USE, __version__


@dataclass(frozen=True)
class ScoreRow:
    """One line of the table of scores. filled, marks: positions on the scale in percent.

    key: what result.json calls the score.
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
        percent=percent_text,
        range=lambda *path: range_text(result, *path),
        whisker=lambda *path: whisker(result, *path),
        range_means=RANGE_MEANS,
        ml=ml_text,
        rows=score_rows(result),
        infection_marks=INFECTION_MARKS,
        rule=RULE,
        lobes=[(name, LOBE_NAMES[name], getattr(result.lobes, name)) for name in LOBE_ORDER],
        has_lobes=analysis.lobes is not None,
        bands=[
            (title, edges, getattr(result.aeration.bands, name), BAND_COLOURS[name])
            for name, (title, edges) in BAND_TITLES.items()
        ],
        places=[(title, getattr(result.distribution, name)) for name, title in PLACES.items()],
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
    scores = result.scores

    def total(key: str, name: str, meaning: str, *marks: float) -> ScoreRow:
        score: TotalScore = getattr(scores, key)
        filled = None if score.total is None else 100 * score.total / score.max
        places = tuple(100 * mark / score.max for mark in marks)
        value = score_text(score.total, score.max)
        return ScoreRow(key, name, value, filled, places, meaning, score.reason)

    no_volume = scores.ct_ss.reason if scores.po is None else None
    no_density = scores.lhos.reason if scores.pho is None else None
    grade = None if scores.mosmed is None else 25.0 * int(scores.mosmed[-1])
    return [
        total(
            "ct_ss",
            "CT-SS",
            f"20 regions, each 0 (< 1 %), 1 (< 50 %) or 2 (≥ 50 % opacity). Severe above "
            f"the mark at {scores.ct_ss.cutoff} (Yang 2020).",
            scores.ct_ss.cutoff,
        ),
        total(
            "ctsi",
            "CTSI",
            "Five lobes, each 0–5: < 1 %, < 5 %, ≤ 25 %, < 50 %, ≤ 75 %, above (Pan 2020).",
        ),
        total(
            "tss",
            "TSS, LSS",
            "Five lobes, each 0–4: < 1 %, ≤ 25 %, ≤ 50 %, ≤ 75 %, above (TSS, Chung 2020; "
            "LSS, Chaganti 2020, has the same thresholds).",
        ),
        total(
            "lhos", "LHOS", "As LSS, counting only opacity of −200 HU or denser (Chaganti 2020)."
        ),
        ScoreRow(
            "po",
            "PO",
            percent_text(scores.po),
            scores.po,
            (),
            "Share of the lungs with opacity (percentage of opacity, Chaganti 2020).",
            no_volume,
        ),
        ScoreRow(
            "pho",
            "PHO",
            percent_text(scores.pho),
            scores.pho,
            (),
            "Share of the lungs with opacity of −200 HU or denser (Chaganti 2020).",
            no_density,
        ),
        ScoreRow(
            "mosmed",
            "MosMed",
            scores.mosmed or "not computed",
            grade,
            (),
            "Of both lungs: CT-0 < 1 %, CT-1 ≤ 25 %, CT-2 ≤ 50 %, CT-3 ≤ 75 %, CT-4 above.",
            no_volume,
        ),
        total(
            "zones",
            "Six zones",
            "Upper, middle and lower third of each lung, each 0–4 as TSS.",
        ),
    ]


def whisker(result: Result, *path: str) -> tuple[float, float] | None:
    """From where to where the range at ``path`` lies on its scale, in percent; None without one."""
    span = span_of(result, *path)
    if span is None or span[0] == span[1]:
        return None
    if path[-1] == "mosmed":
        low, high = (25.0 * int(grade[-1]) for grade in span)
        return low, high
    score = getattr(result.scores, path[-1], None)
    whole = score.max if isinstance(score, TotalScore) else 100
    return 100 * span[0] / whole, 100 * span[1] / whole


#: Marks on the scale of infection percent: the category's own edges.
INFECTION_MARKS = (MODERATE_ABOVE, SEVERE_ABOVE)


#: From air to bone; told apart in grey too.
BAND_COLOURS = {
    "over_inflated": "#dbe9f3",
    "well_aerated": "#8fbcd9",
    "poorly_aerated": "#e2a54b",
    "not_aerated": "#a8480f",
    "denser": "#3d3d3d",
}
PLACES = {
    "peripheral": "peripheral (outer third)",
    "posterior": "posterior (back half)",
    "lower": "lower (lowest third)",
}


def _affected(result: Result) -> str | None:
    """How many lungs and lobes have 1 % or more of opacity each; None where not known.

    Both are counted by their own percentages: a lobe may reach 1 % where its lung does not.
    """
    shares = (result.burden.right_percent, result.burden.left_percent)
    parts = []
    if result.distribution.bilateral is not None:
        count = sum(share is not None and share >= FLOOR_PERCENT for share in shares)
        parts.append(f"{2 if result.distribution.bilateral else min(count, 1)} of 2 lungs")
    if (lobes := result.distribution.lobes_affected) is not None:
        parts.append(f"{lobes} of {len(LOBE_ORDER)} lobes")
    return ", ".join(parts) or None


def _regions(result: Result) -> list[list[tuple[str, str, str, str]]]:
    """Right and left column: name, percent, its range, score of each region."""
    columns: list[list[tuple[str, str, str, str]]] = [[], []]
    for name, lobe in REGIONS:
        part = result.scores.ct_ss.regions[name]
        score = "–" if part.score is None else str(part.score)
        between = range_text(result, "regions", name)
        columns[lobe.startswith("L")].append((name, percent_text(part.percent), between, score))
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
