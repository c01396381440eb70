"""What the severity scores are worth: those of predicted masks against those of reference masks.

    python experiments/score_performance.py

Measures whatever bundle ships. Needs LUNGSCORE_DATA for covid-semiseg and luna16-lobes.
"slices": opacity percent of the annotated slices out of fold, from infection-folds.json.
"phantoms": ``analyze`` on made-up chests of which lungs, lobes and lesions are known.
"lobe_shapes": painted disease in lungs with the lobes of real people (real_lobe_phantoms.py), in
thick slices. There is no chest around these lungs, so the lungs are given; the lobes are found with
an atlas that does not know the person.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from evaluate_fissures import FIRST_SEED, HELD_OUT, THICK_MM
from fit_lobe_atlas import fit_atlas, lung_cases, lungs_of, read_lobes
from lungscore import analyze
from lungscore.anatomy import Lungs, divide_regions, find_lobes, lung_field, solid_lung
from lungscore.anatomy.atlas import LUNG_LOBES
from lungscore.assessment import as_lungs, assess
from lungscore.datasets import covid_semiseg
from lungscore.datasets.lungs_of_slices import with_lungs
from lungscore.datasets.training_slices import data_root
from lungscore.evaluation.results import plain, write_result
from lungscore.inference import Lesions, Segmenter
from lungscore.inference.segment import find_lesions
from lungscore.labels import REGIONS
from lungscore.result import Analysis
from lungscore.scan import Scan
from lungscore.scan.phantom import make_phantom
from lungscore.severity import Segmentation, Severity, measure, score_part
from lungscore.severity.category import CATEGORIES
from lungscore.severity.edges import highest_score
from lungscore.statistics.agreement import (
    bland_altman,
    exact_agreement,
    icc_agreement,
    weighted_kappa,
)
from lungscore.statistics.intervals import area_agreement, mean_with_interval
from painted_lesions import paint_lesions
from real_lobe_phantoms import make_lobe_phantom, middle_slices, thick_slices

RESULTS = Path(__file__).parent / "results"
OUT = RESULTS / "score-performance.json"
COMMAND = "python experiments/score_performance.py"

#: The people, apart from those of any training or other measurement, and their diseases.
SEEDS = (9100, 9101, 9102, 9103)
PRESETS = ("few-patches", "several-patches", "many-patches", "dense")
#: Slices 5 mm apart: half the time of the usual phantom.
SHAPE = (56, 256, 256)

#: The scores that are compared, and percent of opacity and of high opacity.
SCORES = ("ct_ss", "tss", "ctsi", "po", "pho")

#: What is said of the masks of a phantom, beside its scores (``compared``).
MASKS = ("lungs_dice", "infection_found", "false_percent", "lobes_right")


@dataclass(frozen=True)
class Masks:
    """lungs (1 right, 2 left), lobes and lesions, each (D, H, W) uint8 of labels.py."""

    lungs: np.ndarray
    lobes: np.ndarray
    lesions: np.ndarray


def slice_figures(root: Path, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Agreement of predicted with true opacity percents of single slices.

    rows: name, infected_fraction and true_fraction (of the crop, 0…1) of each slice.
    """
    samples = covid_semiseg.load(root / covid_semiseg.NAME, "train")
    parts = {
        sample.name: float(sample.lungs.mean())
        for sample in with_lungs(samples, root)
        if sample.lungs is not None
    }
    # What is marked outside of lungs and infection may add up to more than all of them.
    predicted, true = (
        np.array([min(100.0, 100 * row[key] / parts[row["name"]]) for row in rows])
        for key in ("infected_fraction", "true_fraction")
    )
    return slice_agreement([row["name"] for row in rows], predicted, true)


def slice_agreement(
    names: Sequence[str], predicted: np.ndarray, true: np.ndarray
) -> dict[str, Any]:
    """Agreement of opacity percents of the lungs, (slices,), and of the classes that TSS makes."""
    classes = [np.array([score_part(p, "tss") for p in percents]) for percents in (predicted, true)]
    differences = bland_altman(predicted, true)
    return {
        "n": len(names),
        "icc": asdict(icc_agreement(np.stack([predicted, true], axis=1))),
        "pearson": area_agreement(predicted, true)["correlation"],
        "bland_altman": asdict(differences),
        "mean_absolute_error": mean_with_interval(np.abs(predicted - true)),
        "classes": {
            "kappa": asdict(
                weighted_kappa(*classes, highest=highest_score("tss"), weights="quadratic")
            ),
            "equal": asdict(exact_agreement(*classes)),
            "at_most_one_apart": asdict(
                exact_agreement(np.abs(classes[0] - classes[1]) <= 1, np.ones(len(names)))
            ),
        },
        "slices": [
            {"name": name, "predicted": p, "true": t, "classes": [int(a), int(b)]}
            for name, p, t, a, b in zip(names, predicted, true, *classes, strict=True)
        ],
    }


def phantom_rows(segmenter: Segmenter) -> Iterator[dict[str, Any]]:
    """One row per made-up phantom, found with nothing given."""
    for seed in SEEDS:
        for preset in PRESETS:
            phantom = make_phantom(preset, seed=seed, shape=SHAPE)
            truth = Masks(phantom.lungs, phantom.lobes, phantom.lesions)
            found = analyze(phantom.scan, segmenter=segmenter, ranges=False)
            yield {"seed": seed, "preset": preset, **compared(phantom.scan, truth, found)}


def lobe_shape_rows(root: Path, segmenter: Segmenter) -> Iterator[dict[str, Any]]:
    """One row per held-out mask of real lobes: from hardly to gravely ill, in that order."""
    paths = sorted((root / "luna16-lobes").glob("*.nrrd"))
    cases = [lung_cases(*read_lobes(path), number) for number, path in enumerate(paths)]
    for place, index in enumerate(HELD_OUT):
        seed, extent = FIRST_SEED + index, place / (len(HELD_OUT) - 1)
        thin = make_lobe_phantom(paths[index], seed)
        values, labels = paint_lesions(thin, seed, extent)
        thick, lesions = thick_slices(replace(thin, values=values)), middle_slices(labels)
        scan = Scan.from_array(thick.values, thick.spacing_mm, name=f"lobes-{index}")
        truth = Masks(lungs_of(thick.lobes), thick.lobes, lesions)
        others = [case for number, case in enumerate(cases) if number != index]
        atlas = {side: fit_atlas([case[side] for case in others]) for side in LUNG_LOBES}
        lobes = find_lobes(truth.lungs, thick.spacing_mm, hounsfield=scan.values, atlas=atlas)
        found = with_given_lungs(scan, as_lungs(truth.lungs, "lungs"), lobes, segmenter)
        yield {"mask": index, "seed": seed, "extent": extent, **compared(scan, truth, found)}


def with_given_lungs(scan: Scan, lungs: Lungs, lobes: np.ndarray, segmenter: Segmenter) -> Analysis:
    """What ``analyze`` makes of a scan with its lungs and lobes given, without ranges."""
    field, solid = lung_field(lungs, scan.spacing_mm), solid_lung(lungs, scan)
    lesions, _ = find_lesions(scan, lungs, segmenter, field, solid)
    return assess(scan, lungs, lesions, lobes=lobes)


def compared(scan: Scan, truth: Masks, found: Analysis) -> dict[str, Any]:
    """The scores of an analysis beside the true ones, and what any difference comes from.

    regions_right: of 20; regions_right_with_true: the same with the true lobes, the true infection
    or both in the place of those found. infection_found: part of the true infection that was
    found, 0…1; false_percent: of the healthy lung that is called infected; lobes_right: part of the
    lung that is given to the right lobe, 0…1.
    """
    spacing_mm = scan.geometry.spacing_mm
    lesions = Lesions(truth.lesions, (), None)
    reference = assess(scan, as_lungs(truth.lungs, "lungs"), lesions, lobes=truth.lobes).severity
    predicted = Masks(found.lungs.labels, _labels(found.lobes, scan), found.lesions.labels)
    exchanged = {
        "lobes": replace(predicted, lobes=truth.lobes),
        "infection": replace(predicted, lesions=truth.lesions),
        "both": replace(predicted, lobes=truth.lobes, lesions=truth.lesions),
    }
    right = equal_regions(region_scores(found.severity), region_scores(reference))
    right_with = {
        name: equal_regions(region_scores(scored(masks, spacing_mm)), region_scores(reference))
        for name, masks in exchanged.items()
    }
    ill, lungs = truth.lesions > 0, (truth.lungs > 0, predicted.lungs > 0)
    both = lungs[0] & lungs[1]
    return {
        "found": numbers(found.severity),
        "true": numbers(reference),
        "withheld": list(found.severity.withheld),
        "regions_right": right,
        "regions_right_with_true": right_with,
        "cause": cause(right, right_with),
        "lungs_dice": 2 * np.count_nonzero(both) / sum(map(np.count_nonzero, lungs)),
        "infection_found": _share(predicted.lesions > 0, ill),
        "false_percent": 100 * _share(predicted.lesions > 0, lungs[0] & ~ill),
        "lobes_right": _share(predicted.lobes == truth.lobes, both),
    }


def numbers(severity: Severity) -> dict[str, Any]:
    """Totals of the scores, percents of opacity and the category; None where there is none."""
    return {
        "ct_ss": severity.ct_ss.total,
        "tss": severity.tss.total,
        "ctsi": severity.ctsi.total,
        "po": severity.po,
        "pho": severity.pho,
        "category": severity.category,
    }


def scored(masks: Masks, spacing_mm: tuple[float, float, float]) -> Severity:
    """The severity of masks: lobes and lesions count where there is lung."""
    lobes = np.where(masks.lungs > 0, masks.lobes, np.uint8(0))
    lesions = np.where(masks.lungs > 0, masks.lesions, np.uint8(0))
    regions = divide_regions(lobes, spacing_mm)
    return measure(Segmentation(masks.lungs, lesions, lobes=lobes, regions=regions))


def region_scores(severity: Severity) -> list[int | None]:
    """CT-SS of the 20 regions, in the order of REGIONS."""
    return [severity.ct_ss.parts[name].score for name, _ in REGIONS]


def equal_regions(found: Sequence[int | None], true: Sequence[int | None]) -> int:
    """How many regions have the right score; one that was not found is wrong."""
    return sum(a == b and b is not None for a, b in zip(found, true, strict=True))


def cause(right: int, right_with: dict[str, int]) -> str | None:
    """What most wrong scores of regions come from; None where all are right.

    right_with: how many are right with the true lobes, with the true infection, and with both:
    what is still wrong then is due to the lungs.
    """
    if right == len(REGIONS):
        return None
    repaired = {
        "infection": right_with["infection"] - right,
        "lobe borders": right_with["lobes"] - right,
        "lungs": len(REGIONS) - right_with["both"],
    }
    name = max(repaired, key=lambda key: repaired[key])
    return name if repaired[name] > 0 else "infection and lobe borders together"


def agreement(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Figures over phantoms, and the phantoms themselves, worst first."""
    worst_first = sorted(
        rows, key=lambda row: (row["regions_right"], -abs(_error(row, "po") or 0.0))
    )
    return {
        "n": len(rows),
        "scores": {key: score_agreement(rows, key) for key in SCORES},
        "regions_right": _mean(row["regions_right"] / len(REGIONS) for row in rows),
        "regions_right_with_true": {
            part: _mean(row["regions_right_with_true"][part] / len(REGIONS) for row in rows)
            for part in ("infection", "lobes", "both")
        },
        "masks": {key: _mean(row[key] for row in rows) for key in MASKS},
        "category": category_agreement(
            [row["found"]["category"] for row in rows], [row["true"]["category"] for row in rows]
        ),
        "causes": dict(Counter(row["cause"] or "all right" for row in rows).most_common()),
        "phantoms": worst_first,
    }


def score_agreement(rows: Sequence[dict[str, Any]], key: str) -> dict[str, Any]:
    """Error found − true of one score, and ICC, over the phantoms that have it."""
    pairs = np.array(
        [(row["found"][key], row["true"][key]) for row in rows if _error(row, key) is not None],
        np.float64,
    ).reshape(-1, 2)
    errors = pairs[:, 0] - pairs[:, 1]
    return {
        "mean_error": mean_with_interval(errors),
        "mean_absolute_error": mean_with_interval(np.abs(errors)),
        "icc": asdict(icc_agreement(pairs)),
        "true_range": [float(pairs[:, 1].min()), float(pairs[:, 1].max())] if len(pairs) else None,
    }


def category_agreement(found: Sequence[str | None], true: Sequence[str | None]) -> dict[str, Any]:
    """How often the category is right; one that is withheld is not, and has no part in kappa."""
    order = {name: number for number, name in enumerate(CATEGORIES)}
    pairs = list(zip(found, true, strict=True))
    given = np.array([(order[a], order[b]) for a, b in pairs if a and b]).reshape(-1, 2)
    right = np.array([a is not None and a == b for a, b in pairs])
    kappa = weighted_kappa(*given.T, highest=len(order) - 1, weights="quadratic")
    return {
        "right": asdict(exact_agreement(right, np.ones(len(right)))),
        "kappa": asdict(kappa),
        "withheld": sum(name is None for name in found),
        "true": {name: true.count(name) for name in CATEGORIES},
    }


def _error(row: dict[str, Any], key: str) -> float | None:
    found, true = row["found"][key], row["true"][key]
    return None if found is None or true is None else found - true


def _mean(values: Iterable[float]) -> dict[str, float | int]:
    return mean_with_interval(np.array(list(values), np.float64))


def _labels(labels: np.ndarray | None, scan: Scan) -> np.ndarray:
    return np.zeros(scan.shape, np.uint8) if labels is None else labels


def _share(mask: np.ndarray, region: np.ndarray) -> float:
    """How much of ``region`` is in ``mask``, 0…1."""
    return float(np.count_nonzero(mask & region) / max(1, np.count_nonzero(region)))


def printed(rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """``rows``, each printed when it is measured."""
    kept = []
    for row in rows:
        print(json.dumps(plain(row, digits=3), ensure_ascii=False), flush=True)
        kept.append(row)
    return kept


def main() -> None:
    """Write the result file."""
    root = data_root()
    folds = json.loads((RESULTS / "infection-folds.json").read_text(encoding="utf-8"))
    segmenter = Segmenter(threads=1)
    used = [bundle.used for bundle in segmenter.bundles] + list(segmenter.lung_models)
    figures = {
        "models": [{"name": m.name, "version": m.version, "sha256": m.sha256} for m in used],
        "slices": {
            "weights_sha256": [model["weights_sha256"] for model in folds["models"]],
            **slice_figures(root, folds["figures"]["slices"]),
        },
        "phantoms": {
            "seeds": SEEDS,
            "presets": PRESETS,
            "shape": SHAPE,
            **agreement(printed(phantom_rows(segmenter))),
        },
        "lobe_shapes": {
            "first_seed": FIRST_SEED,
            "slice_mm": THICK_MM,
            **agreement(printed(lobe_shape_rows(root, segmenter))),
        },
    }
    write_result(OUT, command=COMMAND, figures=figures, card=[], models=[segmenter])


if __name__ == "__main__":
    main()
