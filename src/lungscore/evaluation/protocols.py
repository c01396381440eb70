"""How a shipped model is measured: on test slices, on a healthy person, on a patient."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.anatomy import (
    Lungs,
    divide_regions,
    find_lobes,
    find_lungs,
    include_infection,
)
from lungscore.datasets import covid_semiseg
from lungscore.datasets.healthy import part_of
from lungscore.datasets.images import files_by_stem, pair, read_grey, read_truth
from lungscore.datasets.sample import Sample
from lungscore.datasets.training_slices import fold_of
from lungscore.errors import InputError
from lungscore.evaluation.infection import score_maps
from lungscore.evaluation.lesions import score_lesions
from lungscore.evaluation.marked_lobes import against_marked_lobes
from lungscore.inference import Lesions, Segmenter, segment
from lungscore.inference.predict import predict_slice
from lungscore.inference.segment import find_lungs_of
from lungscore.labels import LEFT_LUNG, LOBE_ORDER
from lungscore.scan import Scan, read_scan
from lungscore.severity import Segmentation, measure
from lungscore.statistics.intervals import area_under_curve_with_interval


def on_test_slices(root: Path, segmenter: Segmenter) -> dict[str, Any]:
    """The test slices of COVID-SemiSeg, read from their files and predicted as ``predict`` does.

    root: the dataset's folder. Figures are those of score_maps, and under ``lesions`` those of
    score_lesions. Figures without the test slice that is nearly a copy of a training
    slice (covid_semiseg.NEAR_COPY) stand beside.
    """
    slices = [(sample, segmenter) for sample in covid_semiseg.load(root, "test")]
    maps, classes = _predicted(root, "test", slices)
    figures = {**score_maps(maps), "lesions": score_lesions(classes)}
    copy = covid_semiseg.NEAR_COPY
    without = score_maps(slice_map for slice_map in maps if slice_map[0] != copy)
    without["lesions"] = score_lesions(slice_map for slice_map in classes if slice_map[0] != copy)
    for section in (without, *without["lesions"].values()):
        del section["slices"]
    return {**figures, "without_91": without}


def on_held_out_slices(root: Path, by_fold: Sequence[Segmenter]) -> dict[str, Any]:
    """The annotated training slices, each by the models of the fold that held it out.

    by_fold: models of fold 0, 1, …; otherwise as ``on_test_slices``.
    """
    samples = covid_semiseg.load(root, "train")
    fold = fold_of([sample.name for sample in samples], len(by_fold))
    slices = [(sample, by_fold[fold[sample.name]]) for sample in samples]
    maps, classes = _predicted(root, "train", slices)
    return {**score_maps(maps), "lesions": score_lesions(classes)}


#: name, what was found, what is true.
_Scored = list[tuple[str, np.ndarray, np.ndarray]]


def _predicted(
    root: Path, group: str, slices: Sequence[tuple[Sample, Segmenter]]
) -> tuple[_Scored, _Scored]:
    """Probabilities and classes of slices, read from their files, as those are stored."""
    files = covid_semiseg.image_files(root, group)
    maps, classes = [], []
    for sample, segmenter in slices:
        prediction = predict_slice(read_scan(files[sample.name], name=sample.name), segmenter)
        if sample.lesions is None:
            raise InputError("dataset-incomplete", f"{sample.name} has no class labels")
        # Files are stored transposed, samples are turned back.
        maps.append((sample.name, prediction.infection / 255, sample.infection.T))
        classes.append((sample.name, prediction.classes, sample.lesions.T))
    return maps, classes


def on_released_maps(maps: Path, truth: Path) -> dict[str, Any]:
    """Somebody's prediction maps (grey, 0–255) against ground truth masks of the same names."""
    return score_maps(_released(maps, truth))


def _released(maps: Path, truth: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for name, probability, mask in pair(maps, truth, ignored=_class_maps(maps)):
        grey, true = read_grey(probability), read_truth(mask)
        if grey.shape != true.shape:
            raise InputError(
                "label-invalid",
                f"{probability.name} of {maps.name} is {grey.shape}",
                expected=f"the size of its ground truth, {true.shape}",
            )
        yield name, grey / 255, true


def _class_maps(maps: Path) -> set[str]:
    """The names of pictures of classes that ``predict`` writes beside its maps."""
    names = files_by_stem(maps).keys()
    return {name for name in names if name.removesuffix("_classes") in names - {name}}


def on_healthy_halves(scan_path: Path, by_half: dict[str, Segmenter]) -> dict[str, Any]:
    """Infection in a healthy person's lungs, each half seen by a model that never saw it.

    by_half: "cranial" and "caudal" -> the model trained on that half of the slices; it is measured
    on the other one. ``category``: of both halves together.
    """
    scan = read_scan(scan_path)
    lungs = find_lungs(scan)
    halves: dict[str, Any] = {}
    infected = lung = 0
    together = np.zeros(scan.shape, np.uint8)
    for trained_on, segmenter in by_half.items():
        measured = {"cranial": "caudal", "caudal": "cranial"}[trained_on]
        joined, lesions = _found(scan, lungs, segmenter)
        with_lung = np.flatnonzero((lungs.labels > 0).any(axis=(1, 2)))
        index = part_of(with_lung, measured)  # type: ignore[arg-type]
        inside = joined.labels[index] > 0
        together[index] = lesions.labels[index]
        count = int(np.count_nonzero(lesions.labels[index][inside]))
        total = int(np.count_nonzero(inside))
        halves[measured] = {"infection_percent": 100 * count / total, "slices": len(index)}
        infected, lung = infected + count, lung + total
    return {
        "infection_percent": 100 * infected / lung,
        "category": _category(scan, lungs, together),
        "halves": halves,
    }


def _category(scan: Scan, lungs: Lungs, lesions: np.ndarray) -> str | None:
    """The severity category of lesions in ``lungs``, by lobes and regions of our own."""
    shown = scan.values if scan.units == "hu" else None
    lobes = find_lobes(lungs.labels, scan.spacing_mm, hounsfield=shown)
    regions = divide_regions(lobes, scan.spacing_mm)
    severity = measure(
        Segmentation(lungs.labels, lesions, lobes=lobes, regions=regions, voxel_ml=scan.voxel_ml)
    )
    return severity.category


def on_patient(scan_path: Path, labels: Path, segmenter: Segmenter) -> dict[str, Any]:
    """A patient whose slices a radiologist marked: which slices, which lung, which lobes.

    labels: CSV with slice_superior_to_inferior, infected and, by name, the lobes. Figures: the
    AUC of a slice's infection percent, the share of infected millilitres in the left lung, and
    under ``lobes`` those of lobes.against_marked_lobes.
    """
    rows = _rows_of_labels(labels)
    scan = read_scan(scan_path)
    if len(rows) != scan.shape[0]:
        raise InputError(
            "dataset-incomplete", f"{labels.name} has {len(rows)} rows for {scan.shape[0]} slices"
        )
    joined, lesions = _found(scan, find_lungs_of(scan, lambda: segmenter), segmenter)
    marked = np.array([row["infected"] == "1" for row in rows])
    by_lobe = {name: np.array([row[name] == "1" for row in rows]) for name in LOBE_ORDER}
    lung = joined.labels > 0
    infected = (lesions.labels > 0) & lung
    lung_voxels, voxels = lung.sum(axis=(1, 2)), infected.sum(axis=(1, 2))
    percent = np.divide(100.0 * voxels, lung_voxels, out=np.zeros(len(rows)), where=lung_voxels > 0)
    shown = scan.values if scan.units == "hu" else None
    lobes = find_lobes(joined.labels, scan.spacing_mm, hounsfield=shown)
    left = np.count_nonzero(infected & (joined.labels == LEFT_LUNG))
    return {
        "slice_auc": area_under_curve_with_interval(percent, marked),
        "left_percent_of_infection": 100 * left / max(int(voxels.sum()), 1),
        "infection_percent": 100 * int(voxels.sum()) / int(lung_voxels.sum()),
        "lobes": against_marked_lobes(infected, lobes, by_lobe),
        "infection_ml": float(voxels.sum()) * (scan.voxel_ml or float("nan")),
        "slices": [
            {"index": index, "infection_percent": float(value), "marked": bool(mark)}
            for index, (value, mark) in enumerate(zip(percent, marked, strict=True))
        ],
    }


def _rows_of_labels(labels: Path) -> list[dict[str, str]]:
    """The rows of a table of labels by slice. Raises input-not-found or table-invalid."""
    wanted = ("infected", *LOBE_ORDER)
    try:
        with open(labels, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        raise InputError("input-not-found", f"No such table: {labels.name}") from None
    except (OSError, ValueError, csv.Error) as error:
        raise InputError("table-invalid", f"{labels.name} is not a CSV table in UTF-8") from error
    if missing := [name for name in wanted if not rows or rows[0].get(name) is None]:
        raise InputError(
            "table-invalid",
            f"{labels.name}: it has no column {missing[0]}",
            expected=f"commas between the columns {', '.join(wanted)}",
        )
    return rows


def _found(scan: Scan, lungs: Lungs, segmenter: Segmenter) -> tuple[Lungs, Lesions]:
    """Lesions, and the lungs with the infection that hid part of them, as ``analyze`` has them."""
    lesions = segment(scan, lungs, segmenter)
    return include_infection(lungs, lesions.labels > 0, scan), lesions
