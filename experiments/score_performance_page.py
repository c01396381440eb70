"""The part of docs/measurements.md on what severity scores are worth, from its file alone."""

from collections.abc import Iterator
from typing import Any

from lungscore.severity.scores import SCORE_TITLES
from lungscore.statistics.estimate import NOTHING, number_text, text_of

#: The sets of phantoms by their key in the result file.
SETS = {"phantoms": "made-up chests", "lobe_shapes": "real lobes, painted disease"}

#: Phantoms of each set in the table of the worst.
WORST = 3

#: Others' figures: who, what of whom, the figure.
PUBLISHED = (
    ("Yang et al. 2020", "CT-SS, reader with reader, 102 patients", "median ICC 0.925"),
    (
        "Mruk et al., Med Sci Monit 2021;27:e931283",
        "two readers, 77 patients; ICC(3,k), the mean of both readers",
        "CT-SS 0.899, a 25-point lobe score 0.919, TSS 0.948",
    ),
    (
        "Inoue et al., Eur Radiol 2022, doi:10.1007/s00330-021-08435-2",
        "two readers, 108 patients; TSS, CTSI and a modified CT-SS",
        "ICC 0.952–0.970",
    ),
    (
        "Chaganti et al. 2020",
        "automatic with manual masks, 100 patients",
        "r 0.92 (PO), 0.97 (PHO), 0.91 (LSS), 0.90 (LHOS)",
    ),
)


def section(content: dict[str, Any]) -> str:
    """Titled, without a line break at its end. content: score-performance.json."""
    figures = content["figures"]
    models = " and ".join(f"{model['name']} {model['version']}" for model in figures["models"])
    return "\n\n".join(
        [
            "## What the severity scores are worth",
            f"Command: `{content['command']}`. Scores of predicted masks against the scores of "
            f"reference masks; models: {models}. Nobody has scored whole scans for us, so the "
            "references are annotated slices and phantoms: this is not the agreement with readers.",
            *_slices(figures["slices"]),
            *_phantoms(figures),
            *_published(),
        ]
    )


def _slices(slices: dict[str, Any]) -> list[str]:
    differences, classes = slices["bland_altman"], slices["classes"]
    limits = f"{number_text(differences['lower']['value'], 1)} to "
    limits += number_text(differences["upper"]["value"], 1)
    rows = (
        ("ICC(A,1)", text_of(slices["icc"], "value")),
        ("Pearson's r", text_of(slices["pearson"], "r")),
        ("bias, points", text_of(differences["bias"], "value", 1, signed=True)),
        ("limits of agreement, points", limits),
        ("mean absolute error, points", text_of(slices["mean_absolute_error"], decimals=1)),
        ("classes, weighted κ", text_of(classes["kappa"], "value")),
        ("classes equal", _percent(classes["equal"], "value")),
        ("classes at most one apart", _percent(classes["at_most_one_apart"], "value")),
    )
    return [
        "### Opacity percent of single slices",
        f"The {slices['n']} annotated slices, each by the network that had its fold held out. "
        "Opacity in percent of the lung in the slice; the lungs are those that our rules find and "
        "what is truly infected, the same for both. Classes: those that TSS makes of a lobe "
        "(quarters; below 1 % is 0), κ with quadratic weights. Several slices may be of one "
        "patient, which the intervals do not know.",
        _table(("figure", "value [95 % CI]"), rows),
    ]


def _phantoms(figures: dict[str, Any]) -> list[str]:
    chests, shapes = figures["phantoms"], figures["lobe_shapes"]
    seeds = [row["seed"] for row in shapes["phantoms"]]
    agreements = [
        (
            title,
            SCORE_TITLES[key] + (", %" if key in ("po", "pho") else ""),
            " to ".join(number_text(end, 1) for end in score["true_range"]),
            text_of(score["mean_error"], decimals=1, signed=True),
            text_of(score["mean_absolute_error"], decimals=1),
            text_of(score["icc"], "value", 2),
        )
        for name, title in SETS.items()
        for key, score in figures[name]["scores"].items()
    ]
    return [
        "### Scores of phantoms",
        f"{SETS['phantoms'].capitalize()}: {chests['n']} phantoms ({len(chests['seeds'])} people, "
        f"seeds {chests['seeds'][0]} to {chests['seeds'][-1]}, each with the presets "
        f"{', '.join(chests['presets'])}; {chests['shape'][0]} slices), on which no network was "
        "trained. Nothing is given. Intervals are over phantoms, and too narrow for people. "
        f"{SETS['lobe_shapes'].capitalize()}: {shapes['n']} lobe masks of LUNA16 on which no "
        f"setting was chosen (seeds {min(seeds)} to {max(seeds)}), in slices of "
        f"{shapes['slice_mm']:g} mm, "
        "from hardly to gravely ill. No chest surrounds "
        "these lungs, so the lungs are given; infection is found, and lobes with an atlas that "
        "does not know the person. The disease has the borders and the texture of the made-up "
        "chests'; flat balls with sharp borders, tried first, were mostly missed, so the figures "
        "say as much of the painting as of the network. The 20 regions of the reference are the "
        "same geometric division, of the true lobes. Errors: found − true. Missed and false "
        "infection cancel in part in totals, and over so wide a range of disease an ICC is easily "
        "high: errors and regions say more.",
        _table(
            ("phantoms", "score", "true", "mean error", "mean absolute error", "ICC(A,1)"),
            agreements,
        ),
        "How many of the 20 regions have the right CT-SS score, as found and with the true "
        "infection, the true lobes or both in the place of those found; and the severity category "
        "(a withheld one is not right, and is left out of κ).",
        _table(
            (
                "phantoms",
                "regions right",
                "true infection",
                "true lobes",
                "both",
                "category right",
                "weighted κ",
                "withheld",
            ),
            (_right(title, figures[name]) for name, title in SETS.items()),
        ),
        "Behind it, means over phantoms (the lungs of the second kind are given):",
        _table(
            (
                "phantoms",
                "Dice of the lungs",
                "true infection found",
                "healthy lung called infected",
                "lung in the right lobe",
            ),
            (_masks(title, figures[name]["masks"]) for name, title in SETS.items()),
        ),
        f"The {WORST} phantoms of each kind with the fewest regions right, and what would put "
        "most of them right:",
        _table(
            (
                "phantom",
                "CT-SS: found, true",
                "opacity: found, true",
                "category: found, true",
                "regions right",
                "cause",
            ),
            (_worst(row) for name in SETS for row in figures[name]["phantoms"][:WORST]),
        ),
    ]


def _right(title: str, figures: dict[str, Any]) -> tuple[str, ...]:
    exchanged, category = figures["regions_right_with_true"], figures["category"]
    return (
        title,
        _percent(figures["regions_right"]),
        *(_percent(exchanged[part]) for part in ("infection", "lobes", "both")),
        _percent(category["right"], "value"),
        text_of(category["kappa"], "value", 2),
        str(category["withheld"]),
    )


def _masks(title: str, masks: dict[str, Any]) -> tuple[str, ...]:
    return (
        title,
        text_of(masks["lungs_dice"]),
        _percent(masks["infection_found"]),
        text_of(masks["false_percent"], decimals=1, unit=" %"),
        _percent(masks["lobes_right"]),
    )


def _worst(row: dict[str, Any]) -> tuple[str, ...]:
    found, true = row["found"], row["true"]
    name = (
        f"{row['preset']}, seed {row['seed']}"
        if "preset" in row
        else f"lobe mask {row['mask']}, extent {row['extent']:.2f}"
    )
    return (
        name,
        f"{_whole(found['ct_ss'])}, {_whole(true['ct_ss'])}",
        f"{_opacity(found['po'])}, {_opacity(true['po'])}",
        f"{found['category'] or 'withheld'}, {true['category'] or 'withheld'}",
        f"{row['regions_right']} of 20",
        row["cause"] or NOTHING,
    )


def _published() -> Iterator[str]:
    yield "### What others published"
    yield (
        "Readers' agreement with one another, and that of an automatic measurement with masks "
        "drawn by hand, on patients; ours are phantoms and slices, so the figures stand side by "
        "side and are not compared. We know of no published agreement of an automatic CT-SS."
    )
    yield _table(("source", "what", "figure"), PUBLISHED)


def _percent(content: dict[str, Any], key: str = "mean") -> str:
    return text_of(content, key, 0, scale=100, unit=" %")


def _whole(number: int | None) -> str:
    return NOTHING if number is None else str(number)


def _opacity(percent: float | None) -> str:
    return NOTHING if percent is None else f"{number_text(percent, 1)} %"


def _table(titles: tuple[str, ...], rows: Any) -> str:
    """A table in Markdown."""
    lines = [titles, ("---",) * len(titles), *rows]
    return "\n".join(
        "|" + "|".join(cells) + "|" if cells[0] == "---" else f"| {' | '.join(cells)} |"
        for cells in lines
    )
