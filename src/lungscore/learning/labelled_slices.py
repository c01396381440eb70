"""The slices of manifests of one's own labels, cut to their lungs as a network sees them."""

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from lungscore.datasets.labelled_image import read_labelled_image
from lungscore.datasets.labelled_manifest import LabelledRow, checksum, in_row, read_labelled
from lungscore.datasets.records import Group
from lungscore.datasets.sample import Sample
from lungscore.datasets.training_slices import ANNOTATED_DATASETS, find_manifest, fold_of
from lungscore.errors import InputError
from lungscore.guard import reported
from lungscore.inference.views import views_with_lungs
from lungscore.learning.config import ExperimentConfig


def own_manifests(config: ExperimentConfig, root: Path) -> dict[str, Path]:
    """name -> manifest of one's own labels that the experiment trains on.

    Raises config-invalid for a name that is neither a dataset nor a manifest.
    """
    return {
        name: find_manifest(name, root, key="data.infected", known=ANNOTATED_DATASETS)
        for name in config.data.infected
        if name not in ANNOTATED_DATASETS
    }


def manifest_sums(config: ExperimentConfig, root: Path) -> dict[str, str]:
    """name -> SHA-256 of each of them: a run goes on, and is measured, with the same only."""
    return {name: checksum(path) for name, path in own_manifests(config, root).items()}


def own_slices(config: ExperimentConfig, root: Path, group: Group) -> list[Sample]:
    """The slices of one group of the experiment's manifests, of all folds.

    Every row of every manifest is checked, and every image of the group is read. Raises InputError,
    which names the row: as ``read_labelled`` and ``read_labelled_image``, ``manifest-invalid``
    where no row is of the group, ``patient-on-both-sides`` across manifests.
    """
    return slices_of_manifests(own_manifests(config, root), group)


def slices_of_manifests(manifests: Mapping[str, Path], group: Group) -> list[Sample]:
    """The same of these manifests, by name."""
    sums = tuple(_sum_of(path) for path in manifests.values())
    return list(_read(tuple(manifests.items()), sums, group))


def _sum_of(path: Path) -> str:
    if not path.is_file():
        raise InputError("input-not-found", f"No such manifest: {path}")
    return checksum(path)


@lru_cache(maxsize=2)  # the folds of an experiment share their slices
def _read(
    manifests: tuple[tuple[str, Path], ...], sums: tuple[str, ...], group: Group
) -> tuple[Sample, ...]:
    tables = {path: read_labelled(path) for _, path in manifests}
    _check_between(tables)
    samples: list[Sample] = []
    for path, rows in tables.items():
        chosen = [row for row in rows if row.group == group]
        if not chosen:
            raise InputError(
                "manifest-invalid",
                f"{path.name}: no row is of the group {group}",
                expected=f"a case that {'trains' if group == 'train' else f'is in {group}'}",
                hint="Groups are a column of the manifest",
            )
        for row in chosen:
            try:
                with reported(row.image):
                    samples += _slices(row, path.parent)
            except InputError as error:
                raise in_row(error, path, row) from error
    return tuple(samples)


def _check_between(tables: dict[Path, list[LabelledRow]]) -> None:
    """Raise where a patient or an image is in different groups of two manifests."""
    first: dict[tuple[str, str], tuple[Path, LabelledRow]] = {}
    for path, rows in tables.items():
        for row in rows:
            for key in (("image", row.sha256), ("patient", row.patient or "")):
                if not key[1]:
                    continue
                before_path, before = first.setdefault(key, (path, row))
                if before_path != path and (key[0] == "image" or before.group != row.group):
                    raise in_row(
                        InputError(
                            "patient-on-both-sides",
                            f"its {key[0]} is in row {before.number} of {before_path.name}, too "
                            f"({row.group} and {before.group})",
                            expected="every image once, and a patient in one group",
                        ),
                        path,
                        row,
                    )


def _slices(row: LabelledRow, folder: Path) -> Iterator[Sample]:
    image = read_labelled_image(row, folder)
    lone = image.scan.shape[0] == 1
    lungs = None if image.lungs is None else image.lungs.labels > 0
    for view in views_with_lungs(image.scan, image.lungs):
        if view.index not in image.slices:
            continue
        labels = np.ascontiguousarray(view.cut_labels(image.labels))
        yield Sample(
            np.ascontiguousarray(view.cut(image.scan)),
            labels > 0,
            row.case if lone else f"{row.case}-{view.index:03d}",
            row.source,
            patient=row.unit,
            lesions=labels if row.labels == "classes" else None,
            weight=row.weight,
            lungs=None if lungs is None else np.ascontiguousarray(view.cut_labels(lungs)),
        )


def held_out(samples: Collection[Sample], config: ExperimentConfig) -> set[str]:
    """The patients of ``samples`` whom the experiment's fold holds out; none without a fold.

    Patients with infection and without are shared out evenly. Raises config-invalid where there are
    fewer with infection than folds.
    """
    data = config.data
    if data.fold is None:
        return set()
    ill = {str(sample.patient) for sample in samples if sample.infection.any()}
    well = {str(sample.patient) for sample in samples} - ill
    if len(ill) < data.folds:
        raise InputError(
            "config-invalid",
            f"{config.name}: {data.folds} folds of {len(ill)} patients with infection",
            expected="a patient with infection, or more, in every fold",
            hint="See data.folds",
        )
    folds = fold_of(list(ill), data.folds) | fold_of(list(well), data.folds)
    return {patient for patient, fold in folds.items() if fold == data.fold}
