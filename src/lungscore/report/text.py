"""Numbers as a person reads them, and the severity table as plain text."""

from typing import Any, Literal

from lungscore.labels import LOBE_ORDER
from lungscore.result import Analysis, Result, to_result
from lungscore.result.numbers import NUMBERS, SHARES, Number, lobe_number, value_at
from lungscore.severity import BANDS, SPECK_ML
from lungscore.severity.category import outcomes_text
from lungscore.version import RESEARCH_USE

NOT_COMPUTED = "not computed"

#: The bands of density of lung tissue; the outer two are air and what is denser than tissue.
AERATED = tuple(BANDS)[1:-1]

#: What a range beside a number is.
RANGE_MEANS = (
    "the lowest and highest value under other reasonable thresholds and views of the network, "
    "which agree with radiologists nearly as well, and of lobes and regions under borders moved "
    "within their confidence. This is not a confidence interval."
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


def number_text(number: Number, value: Any) -> str:
    """A value of ``number`` as a person reads it, with its unit."""
    if value is None:
        return NOT_COMPUTED
    if number.unit == "percent":
        return percent_text(value)
    if number.unit == "ml":
        return ml_text(value)
    return score_text(value, int(number.highest)) if number.kind == "total" else str(value)


def shown(result: Result, number: Number) -> str:
    """The value of ``number`` in ``result``, and its range where there is one."""
    return number_text(number, number.value(result)) + range_text(result, number)


def span_of(result: Result, number: Number) -> Any:
    """The range of ``number`` in ``result``, as a pair; None where there is none."""
    content = None if result.ranges is None else result.ranges.model_dump()
    return value_at(content, ".".join(number.range_keys))


def range_text(result: Result, number: Number) -> str:
    """ " (9.8–15.1)", to stand behind a number; empty without a range, or if its ends are alike."""
    span = span_of(result, number)
    if span is None:
        return ""
    if number.name == "category":
        return tips_text(result)
    if number.unit == "ml":
        low, high = map(_ml_number, span)
    elif number.unit == "percent":
        low, high = map(_percent_number, span)
    else:
        low, high = span
    between = " to " if number.unit == "class" else "–"
    return "" if low == high else f" ({low}{between}{high})"


def tips_text(result: Result) -> str:
    """ ", or severe by CT-SS", to stand behind the category; empty where nothing tips it."""
    number = NUMBERS["category"]
    category, span = number.value(result), span_of(result, number)
    if category is None or span is None:
        return ""
    # Where more than two categories can be, none is given: the two ends are all there are.
    percents = span_of(result, NUMBERS["infection_percent"])
    return outcomes_text(category, span if span[0] != span[1] else (), percents)[len(category) :]


def text_table(analysis: Analysis) -> str:
    """The severity table in plain text, for a terminal: headline, scores, lobes, warnings."""
    result = to_result(analysis)
    lines = [f"{result.case}: {RESEARCH_USE}", ""]
    numbers = headline(result)
    lines += [f"  {name:<24}{value}" for name, value in numbers if value != NOT_COMPUTED]
    if missing := [name.strip() for name, value in numbers if value == NOT_COMPUTED]:
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


#: What the terminal shows of the lungs, between the severity and the scores.
_OPACITY = ("ggo_percent", "consolidation_percent", "right_percent", "left_percent")
_SCORES = ("ctsi", "tss", "lss", "lhos", "po", "pho", "mosmed")


def headline(result: Result) -> list[tuple[str, str]]:
    """What the table begins with: (name, value as text), also of what is not computed."""
    category, opacity, volume = (
        NUMBERS[name] for name in ("category", "infection_percent", "infection_ml")
    )
    severity = category.value(result) or result.severity.basis
    infection = shown(result, opacity)
    if volume.value(result) is not None:
        infection += f" of the lungs, {shown(result, volume)}"
    number, score = NUMBERS["ct_ss"], result.scores.ct_ss
    ct_ss = shown(result, number)
    if score.above_cutoff is not None:
        side = "above" if score.above_cutoff else "below"
        ct_ss += f", {side} the cut-off of {score.cutoff}"

    def row(name: str, indent: str = "") -> tuple[str, str]:
        return indent + NUMBERS[name].title, shown(result, NUMBERS[name])

    return [
        (category.title, severity + range_text(result, category)),
        ("infection pattern", detection_text(result)),
        (opacity.title, infection),
        *(row(name, "  ") for name in _OPACITY),
        row("volume_ml"),
        (number.title, ct_ss),
        *(row(name) for name in _SCORES),
    ]


def detection_text(result: Result) -> str:
    """ "yes, in 12 of 40 slices; probability 0.93 (detector NAME, trained on 1 200 patients)"."""
    detection = result.detection
    phrases = []
    if detection.infected is not None:
        text = "yes" if detection.infected else "no (less than 1 % of the lungs)"
        if detection.infected_slices:
            seen = sum(plane.infection_percent is not None for plane in result.slices)
            text += f", in {detection.infected_slices} of {seen} slices"
        phrases.append(text)
    if detection.detector is not None:
        told = "no probability"
        if detection.probability is not None:
            told = f"probability {detection.probability:.2f}"
        patients = f"{detection.detector.patients:,}".replace(",", " ")
        name = detection.detector.name
        phrases.append(f"{told} (detector {name}, trained on {patients} patients)")
    return "; ".join(phrases) or NOT_COMPUTED


def pattern_lines(result: Result) -> list[tuple[str, str]]:
    """Aeration, lesions and distribution in one line each, where they are known."""
    lines = []
    if result.aeration.reason is None:
        bands = (NUMBERS[f"{band}_percent"] for band in AERATED)
        texts = (f"{number.title} {number_text(number, number.value(result))}" for number in bands)
        lines.append(("aeration", ", ".join(texts)))
    if result.lesions.reason is None:
        lines.append((NUMBERS["lesions"].title, lesions_text(result)))
    where = []
    for name in SHARES:
        share, lungs = (NUMBERS[f"{name}_{of}"] for of in ("percent", "lung_percent"))
        if share.value(result) is not None:
            whole = number_text(lungs, lungs.value(result))
            where.append(f"{name} {number_text(share, share.value(result))} (lungs: {whole})")
    if where:
        lines.append(("of the opacity", ", ".join(where)))
    return lines


def lesions_text(result: Result) -> str:
    """Number and size: "4, the largest 212 ml, median 8.1 ml; and 3 foci below 0.1 ml"."""
    count, largest, median, specks, specks_ml = (
        NUMBERS[name].value(result)
        for name in ("lesions", "largest_ml", "median_ml", "specks", "specks_ml")
    )
    if count is None:
        return NOT_COMPUTED
    text = str(count) if count else "none"
    if largest is not None:
        text += f", the largest {ml_text(largest)}, median {ml_text(median)}"
    if specks:
        foci = "1 focus" if specks == 1 else f"{specks} foci"
        text += f"; and {foci} below {SPECK_ML:g} ml, {ml_text(specks_ml)} in all"
    return text


def _lobe_lines(result: Result) -> list[str]:
    opacity = {name: lobe_number(name, "infection_percent") for name in LOBE_ORDER}
    if all(number.value(result) is None for number in opacity.values()):
        return ["  Lobes: not computed"]
    percents = {name: shown(result, number) for name, number in opacity.items()}
    wide = max(14, *(len(text) + 2 for text in percents.values()))
    scores = [NUMBERS[name] for name in ("tss", "ctsi")]
    heads = "".join(f"{score.title:>6}" for score in scores)
    lines = [f"  {'lobe':<6}{'volume':>14}{NUMBERS['infection_percent'].title:>{wide}}{heads}"]
    for name in LOBE_ORDER:
        volume = shown(result, lobe_number(name, "volume_ml"))
        points = (lobe_number(name, score.name).value(result) for score in scores)
        cells = "".join(f"{'–' if value is None else value:>6}" for value in points)
        lines.append(f"  {name:<6}{volume:>14}{percents[name]:>{wide}}{cells}")
    return lines


def on_borders(result: Result, kind: Literal["regions", "lobes"]) -> list[str]:
    """What would have another score if a border were moved within its confidence."""
    known = result.ranges.border_dependent if result.ranges else None
    names: list[str] = getattr(known, kind, [])
    return names
