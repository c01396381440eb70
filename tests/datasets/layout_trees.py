"""Small datasets in their original layout, and what a check says of them."""

from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

from lungscore.datasets.catalogue import dataset
from lungscore.datasets.check import Checked, check
from lungscore.datasets.manifest import Row, read_rows
from lungscore.datasets.prepare import prepare


def picture(path: Path, seed: int, *, values: tuple[int, ...] | None = None) -> None:
    """A 12 × 10 picture unlike that of any other seed; values: all that it holds."""
    rng = np.random.default_rng(seed)
    pixels = rng.choice(values, (12, 10)) if values else rng.integers(0, 256, (12, 10))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def volume(path: Path, seed: int, *, values: tuple[int, ...] | None = None) -> None:
    """A NIfTI of 6 × 5 × 4 voxels unlike that of any other seed; values: all that it holds."""
    rng = np.random.default_rng(seed)
    voxels = rng.choice(values, (6, 5, 4)) if values else rng.integers(-1000, 400, (6, 5, 4))
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels.astype(np.int16), np.eye(4)), path)


def text(path: Path, *lines: str, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))


def replaced(path: Path, old: str, new: str, *, encoding: str = "utf-8") -> None:
    """The text file with ``old``, which it must hold, made ``new``."""
    content = path.read_text("utf-8")
    assert old in content
    path.write_bytes(content.replace(old, new).encode(encoding))


def truncated(path: Path) -> None:
    """The file as a download that stopped halfway leaves it."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def checked(name: str, root: Path) -> Checked:
    return check(dataset(name), root)


def codes(name: str, root: Path) -> dict[str, int]:
    """Code of a problem -> how often it is told."""
    return dict(Counter(problem.code for problem in checked(name, root).problems))


def told(name: str, root: Path, code: str) -> list[tuple[str, str]]:
    """(path, found) of every problem of this code."""
    return [(p.path, p.found) for p in checked(name, root).problems if p.code == code]


def prepared(name: str, root: Path, *, partial: bool = False) -> list[Row]:
    """The rows of the manifest that is written beside the dataset's folder."""
    manifest = root.parent / "manifest.csv"
    prepare(dataset(name), root, manifest, partial=partial, overwrite=True)
    return list(read_rows(manifest))
