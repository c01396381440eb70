"""MedSeg's nine volumes: axial CT from Radiopaedia with ground-glass opacity and consolidation.

"Segmentation dataset nr. 2" of medicalsegmentation.com, CC0. NIfTI in Hounsfield
units, rp_im/NAME.nii.gz with its labels rp_msk/NAME.nii.gz (0 background, 1 ground-glass opacity,
2 consolidation, 3 pleural effusion).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lungscore.anatomy import find_lungs, slice_boxes
from lungscore.datasets.dataset import Dataset
from lungscore.datasets.records import Companion, Entry
from lungscore.datasets.sample import Sample
from lungscore.datasets.visit import VOLUMES, Visit, stem
from lungscore.errors import InputError
from lungscore.labels import CONSOLIDATION, GGO
from lungscore.scan import Geometry, Scan, read_scan
from lungscore.scan.masks import check_same_place
from lungscore.scan.nifti import open_nifti
from lungscore.scan.window import crop, network_boxes

NAME = "medseg-volumes"

PUBLISHED = 9

_FOLDERS = ("rp_im", "rp_msk")
_LUNGS = "rp_lung_msk"


def load(root: Path, *, margin: float = 0.1) -> list[Sample]:
    """The slices that hold a label, cut to the box of their lungs; images in Hounsfield units.

    Slices without any label are left out: the dataset does not say which of them were looked at.
    margin: how much the lungs' box grows, as a fraction of its size. Raises dataset-incomplete,
    label-invalid, mask-geometry, or what ``scan.read_scan`` and ``anatomy.find_lungs`` raise.
    """
    return [
        sample
        for image, labels in _pairs(root)
        for sample in _slices(read_scan(image), labels, margin)
    ]


def _slices(scan: Scan, file: Path, margin: float) -> list[Sample]:
    labels = _read_labels(file, scan)
    boxes = network_boxes(slice_boxes(find_lungs(scan).labels), margin=margin)
    samples = []
    # Only the end of a box tells: a box that reaches over the image's border starts below 0, too.
    for index in np.flatnonzero(labels.any(axis=(1, 2)) & (boxes[:, 1] > boxes[:, 0])):
        box = tuple(boxes[index])
        image, lesions = crop(scan.values[index], box), crop(labels[index], box)
        lesions = np.where(np.isin(lesions, (GGO, CONSOLIDATION)), lesions, 0).astype(np.uint8)
        samples.append(
            Sample(
                np.ascontiguousarray(image),
                lesions > 0,
                f"{scan.name}-{index:03d}",
                NAME,
                patient=scan.name,
                lesions=lesions,
            )
        )
    return samples


def _read_labels(file: Path, scan: Scan) -> np.ndarray:
    """(D, H, W) uint8 on the scan's canonical axes."""
    with open_nifti(file) as stored:
        values = np.stack(list(stored.planes), axis=-1)
    levels = np.unique(values)
    if not set(levels.tolist()) <= {0, 1, 2, 3}:
        raise InputError(
            "label-invalid",
            f"{file.name} contains {levels[:8].tolist()}",
            expected="only 0, 1, 2, 3",
        )
    geometry = Geometry(stored.shape, stored.affine)
    check_same_place(file.name, geometry, scan.geometry)
    return np.ascontiguousarray(geometry.to_canonical(values.astype(np.uint8)))


def _pairs(root: Path) -> list[tuple[Path, Path]]:
    """(image, labels) of every volume, sorted by name."""
    images, labels = ({path.name: path for path in _files(root / folder)} for folder in _FOLDERS)
    alone = sorted(images.keys() ^ labels.keys())
    if alone or not images:
        raise InputError(
            "dataset-incomplete",
            f"{len(images)} volumes in rp_im and {len(labels)} in rp_msk of {root.name} do not "
            "pair up" + (f" (first: {alone[0]})" if alone else ""),
            expected="NAME.nii.gz in both, nine times",
            hint=f"Put MedSeg's rp_im and rp_msk into LUNGSCORE_DATA/{root.name}",
        )
    return [(images[name], labels[name]) for name in sorted(images)]


def _files(folder: Path) -> list[Path]:
    return [*folder.glob("*.nii"), *folder.glob("*.nii.gz")]


def _walk(visit: Visit) -> Iterator[Entry]:
    images, labels, lungs = (visit.files(folder, VOLUMES) for folder in (*_FOLDERS, _LUNGS))
    visit.count("volumes", len(images), PUBLISHED)
    lungs_of = {stem(path): path for path in lungs}
    for image, mask in visit.pairs(images, labels):
        lung = lungs_of.pop(stem(image), None)
        if lung is None:
            visit.problem("file-missing", f"{_LUNGS}/{image.name}", "the volume lacks its lungs")
        yield Entry(
            visit.relative(image),
            f"volume-{stem(image)}",
            "volume",
            patient=f"volume-{stem(image)}",
            mask=visit.relative(mask),
            mask_values=(0, 1, 2, 3),
            companions=() if lung is None else (Companion(visit.relative(lung), (0, 1, 2)),),
        )
    for path in lungs_of.values():
        visit.problem("file-missing", path, "it has no image of its name")
        visit.use(path)


DATASET = Dataset(
    name=NAME,
    title="MedSeg COVID-19 CT segmentation, dataset 2",
    what="axial chest CT from Radiopaedia with GGO, consolidation and lungs",
    size="9 volumes (NIfTI) of 829 slices, 373 of them with disease",
    licence="CC0 (figshare)",
    citation="MedSeg, Jenssen HB, Sakinis T. MedSeg Covid Dataset 2. figshare 2021. "
    "doi:10.6084/m9.figshare.13521509.v2",
    where="https://medicalsegmentation.com/covid19",
    seen="readers of the original download (neuro-ml/amid, dataset medseg9)",
    unverified="headers of the volumes; whether two of them show one patient",
    walk=_walk,
    overlaps=("covid-19-ct-seg",),
)
