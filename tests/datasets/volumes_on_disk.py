"""Small volumes as files, and the faults that downloads have."""

import zlib
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np

from lungscore.datasets.check import Checked, check
from lungscore.datasets.dataset import Dataset
from lungscore.datasets.manifest import Row, read_rows
from lungscore.datasets.prepare import prepare

SHAPE = (8, 6, 4)

#: Spacing of a CT in mm, so that headers are found good.
SPACING = (0.8, 0.8, 8.0)


def ct(seed: int) -> np.ndarray:
    """(8, 6, 4) int16 HU; no two seeds give the same."""
    return np.random.default_rng(seed).integers(-1000, 400, SHAPE, dtype=np.int16)


def lesion(*values: int) -> np.ndarray:
    """(8, 6, 4) uint8 labels with each of ``values`` in one voxel."""
    labels = np.zeros(SHAPE, np.uint8)
    labels.ravel()[: len(values)] = values
    return labels


def write_nifti(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, np.diag([*SPACING, 1.0])), path)


def metaimage(values: np.ndarray, *, deflate: bool = True, **header: str) -> bytes:
    """A MetaImage file as ITK writes it; ``header`` changes or adds keys."""
    data = values.tobytes(order="F")
    packed = zlib.compress(data) if deflate else data
    keys = {
        "ObjectType": "Image",
        "NDims": str(values.ndim),
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": str(deflate),
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "-10 -20 -300",
        "CenterOfRotation": "0 0 0",
        "AnatomicalOrientation": "RAI",
        "ElementSpacing": " ".join(map(str, SPACING)),
        "DimSize": " ".join(map(str, values.shape)),
        "ElementType": "MET_SHORT",
        **header,
        "ElementDataFile": header.get("ElementDataFile", "LOCAL"),
    }
    lines = [f"{key} = {value}\n" for key, value in keys.items() if key != "ElementDataFile"]
    return "".join([*lines, f"ElementDataFile = {keys['ElementDataFile']}\n"]).encode() + packed


def stated_place(affine: np.ndarray) -> dict[str, str]:
    """The keys of a MetaImage header that place voxels as a RAS+ ``affine`` does."""
    axes = np.diag([-1, -1, 1]) @ affine[:3, :3]
    spacing = np.linalg.norm(axes, axis=0)
    return {
        "TransformMatrix": _row((axes / spacing).T),
        "Offset": _row([-1, -1, 1] * affine[:3, 3]),
        "ElementSpacing": _row(spacing),
    }


def _row(numbers: np.ndarray) -> str:
    return " ".join(f"{number:.17g}" for number in numbers.ravel())


def truncate(path: Path, share: float = 0.6) -> None:
    """The file as a copy that stopped halfway."""
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def found(dataset: Dataset, root: Path) -> tuple[Checked, Counter[str]]:
    """What a check says, and how often it names each fault."""
    checked = check(dataset, root)
    return checked, Counter(problem.code for problem in checked.problems)


def told(checked: Checked, code: str) -> list[tuple[str, str]]:
    """(path, found) of every fault called ``code``."""
    return [(p.path, p.found) for p in checked.problems if p.code == code]


def prepared(dataset: Dataset, root: Path, folder: Path, *, partial: bool = False) -> list[Row]:
    """The rows of a manifest of ``root`` in ``folder``."""
    prepare(dataset, root, folder / "manifest.csv", partial=partial)
    return list(read_rows(folder / "manifest.csv"))
