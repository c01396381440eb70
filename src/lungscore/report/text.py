"""Numbers as a person reads them, and the severity table as plain text."""

from typing import Any

from lungscore.labels import LOBE_ORDER
from lungscore.result import Analysis, Result, to_result
from lungscore.version import RESEARCH_USE

NOT_COMPUTED = "not computed"

#: What a range beside a number is.
RANGE_MEANS = (
    "what the number would be if the network were read in other ways that agree with radiologists "
    "nearly as well; not a confidence interval."
)


def percent_text(value: float | None) -> str:
    """ "12.3 %"; a trace is "< 0.1 %", never a false zero."""
    if value is None:
        return NOT_COMPUTED
    return f"{_percent_number(value)} %"


def _percent_number(value: float) -> str:
    return "< 0.1" if 0 < value < 0.05 else f"{value:.1f}"


def ml_text(value: float | None) -> str:
    """ "4 812 ml"; below 10 ml with one decimal; a trace is "< 0.1 ml", never a false zero."""
    if value is None:
        return NOT_COMPUTED
    return "< 0.1 ml" if 0 < value < 0.05 else f"{_ml_number(value)} ml"


def _ml_number(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}".replace(",", " ")


def score_text(total: int | None, maximum: int) -> str:
    """ "7 of 40"."""
    return NOT_COMPUTED if total is None else f"{total} of {maximum}"


def span_of(result: Result, *path: str) -> Any:
    """The range at ``path`` of the result's ranges, as a pair; None where there is none."""
    found: Any = result.ranges
    for name in path:
        if found is not None:
            found = found.get(name) if isinstance(found, dict) else getattr(found, name)
    return found


def range_text(result: Result, *path: str) -> str:
    """ " (9.8–15.1)", to stand behind a number; empty without a range, or if its ends are alike."""
    span = span_of(result, *path)
    if span is None:
        return ""
    name = path[-1]
    if name.endswith("_ml"):
        low, high = map(_ml_number, span)
    elif name.endswith("_percent") or name in ("po", "pho") or path[0] in ("regions", "zones"):
        low, high = map(_percent_number, span)
    else:
        low, high = span
    between = " to " if name in ("category", "mosmed") else "–"
    return "" if low == high else f" ({low}{between}{high})"


def text_table(analysis: Analysis) -> str:
    """The severity table in plain text, for a terminal: headline, scores, lobes, warnings."""
    result = to_result(analysis)
    lines = [f"{result.case}: {RESEARCH_USE}", ""]
    headline = _headline(result)
    lines += [f"  {name:<24}{value}" for name, value in headline if value != NOT_COMPUTED]
    if missing := [name.strip() for name, value in headline if value == NOT_COMPUTED]:
        lines.append(f"  {NOT_COMPUTED:<24}{', '.join(missing)}")
    lines += ["", *_lobe_lines(result)]
    if patterns := pattern_lines(result):
        lines += ["", *(f"  {name:<24}{text}" for name, text in patterns)]
    if result.ranges:
        lines += ["", f"  In brackets: {RANGE_MEANS}"]
    if result.lungs.percent_of:
        lines += ["", f"  Percentages are of {result.lungs.percent_of}."]
    if result.warnings:
        lines += ["", *(f"  ! {w.code}: {w.message}" for w in result.warnings)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _headline(result: Result) -> list[tuple[str, str]]:
    burden, scores = result.burden, result.scores
    severity = result.severity.category or result.severity.basis
    infection = _percent(result, "burden", "infection_percent")
    if burden.infection_ml is not None:
        ml = ml_text(burden.infection_ml) + range_text(result, "burden", "infection_ml")
        infection += f" of the lungs, {ml}"
    ct_ss = _total(result, "ct_ss")
    if scores.ct_ss.above_cutoff is not None:
        side = "above" if scores.ct_ss.above_cutoff else "below"
        ct_ss += f", {side} the cut-off of {scores.ct_ss.cutoff}"
    mosmed = scores.mosmed or NOT_COMPUTED
    return [
        ("severity", severity + range_text(result, "severity", "category")),
        ("infection pattern", detection_text(result)),
        ("infection", infection),
        ("  ground-glass opacity", _percent(result, "burden", "ggo_percent")),
        ("  consolidation", _percent(result, "burden", "consolidation_percent")),
        ("  right lung", _percent(result, "burden", "right_percent")),
        ("  left lung", _percent(result, "burden", "left_percent")),
        ("lung volume", ml_text(result.lungs.volume_ml)),
        ("CT-SS", ct_ss),
        ("CTSI", _total(result, "ctsi")),
        ("TSS", _total(result, "tss")),
        ("LSS", _total(result, "lss")),
        ("LHOS", _total(result, "lhos")),
        ("PO", _percent(result, "scores", "po")),
        ("PHO", _percent(result, "scores", "pho")),
        ("MosMed class", mosmed + range_text(result, "scores", "mosmed")),
    ]


def detection_text(result: Result) -> str:
    """ "yes, in 12 of 40 slices; probability 0.93 (detector NAME, learned from 1 200 patients)"."""
    detection = result.detection
    parts = []
    if detection.infected is not None:
        text = "yes" if detection.infected else "no, less than 1 % of the lungs"
        if detection.infected_slices:
            seen = sum(each.infection_percent is not None for each in result.slices)
            text += f", in {detection.infected_slices} of {seen} slices"
        parts.append(text)
    if detection.detector is not None:
        told = "no probability"
        if detection.probability is not None:
            told = f"probability {detection.probability:.2f}"
        patients = f"{detection.detector.patients:,}".replace(",", " ")
        name = detection.detector.name
        parts.append(f"{told} (detector {name}, learned from {patients} patients)")
    return "; ".join(parts) or NOT_COMPUTED


#: The bands of density as a reader calls them, with their edges in HU.
BAND_TITLES = {
    "over_inflated": ("over-inflated", "below −900"),
    "well_aerated": ("well aerated", "−900 to −500"),
    "poorly_aerated": ("poorly aerated", "−500 to −100"),
    "not_aerated": ("not aerated", "−100 to +100"),
    "denser": ("denser", "+100 and more"),
}


def pattern_lines(result: Result) -> list[tuple[str, str]]:
    """Aeration, lesions and distribution in one line each, where they are known."""
    lines = []
    if result.aeration.reason is None:
        shares = (
            f"{title} {percent_text(getattr(result.aeration.bands, name).percent)}"
            for name, (title, _) in BAND_TITLES.items()
            if name not in ("over_inflated", "denser")
        )
        lines.append(("aeration", ", ".join(shares)))
    if result.lesions.reason is None:
        lines.append(("separate lesions", lesions_text(result)))
    where = []
    for name in ("peripheral", "posterior", "lower"):
        share = getattr(result.distribution, name)
        if share.infection_percent is not None:
            part, lungs = percent_text(share.infection_percent), percent_text(share.lung_percent)
            where.append(f"{name} {part} (lungs: {lungs})")
    if where:
        lines.append(("of the infection", ", ".join(where)))
    return lines


def lesions_text(result: Result) -> str:
    """Number and size of the lesions: "4, the largest 212 ml, median 8.1 ml; 3 specks"."""
    lesions = result.lesions
    if lesions.count is None:
        return NOT_COMPUTED
    text = str(lesions.count) if lesions.count else "none"
    if lesions.largest_ml is not None:
        text += f", the largest {ml_text(lesions.largest_ml)}, median {ml_text(lesions.median_ml)}"
    if lesions.specks:
        some = "1 speck" if lesions.specks == 1 else f"{lesions.specks} specks"
        text += f"; {some} below {lesions.speck_below_ml:g} ml, {ml_text(lesions.specks_ml)} in all"
    return text


def _percent(result: Result, part: str, name: str) -> str:
    value = getattr(getattr(result, part), name)
    return percent_text(value) + range_text(result, part, name)


def _total(result: Result, name: str) -> str:
    score = getattr(result.scores, name)
    return score_text(score.total, score.max) + range_text(result, "scores", name)


def _lobe_lines(result: Result) -> list[str]:
    lobes = {name: getattr(result.lobes, name) for name in LOBE_ORDER}
    if all(lobe.infection_percent is None for lobe in lobes.values()):
        return ["  No percent of any lobe is known."]
    infected = {
        name: percent_text(lobe.infection_percent)
        + range_text(result, "lobes", name, "infection_percent")
        for name, lobe in lobes.items()
    }
    wide = max(14, *(len(text) + 2 for text in infected.values()))
    lines = [f"  {'lobe':<6}{'volume':>14}{'infected':>{wide}}{'TSS':>6}{'CTSI':>6}"]
    for name, lobe in lobes.items():
        volume = ml_text(lobe.volume_ml)
        tss, ctsi = ("–" if v is None else v for v in (lobe.scores.tss, lobe.scores.ctsi))
        lines.append(f"  {name:<6}{volume:>14}{infected[name]:>{wide}}{tss:>6}{ctsi:>6}")
    return lines
