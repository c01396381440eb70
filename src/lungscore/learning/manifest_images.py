"""Training images of manifests: any number of them, cut to their lungs when an epoch draws them.

Networks are trained on lung-box crops in standard orientation. Slices and volumes of datasets are
cut to that here as scans are cut for a network that is asked (``inference.views``), in two
dimensions where a file holds one slice.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lungscore.datasets import covid_semiseg
from lungscore.datasets.images import read_grey
from lungscore.datasets.manifest import read_rows
from lungscore.datasets.sample import Sample
from lungscore.datasets.visit import stem
from lungscore.errors import InputError
from lungscore.inference.views import View, views_to_learn
from lungscore.scan import read_scan

#: Slices that one draw takes of a volume, which costs as much to read as hundreds of slices.
OF_A_VOLUME = 16

#: A file that cannot be read stops the training; one that is not a chest CT with lungs is left out
#: and counted.
_DAMAGED = frozenset(
    {
        "input-not-found",
        "input-unreadable",
        "input-empty",
        "format-not-recognised",
        "dicom-unreadable",
        "dicom-truncated",
        "codec-missing",
    }
)

#: So many images without lungs, and none with, are not a dataset of chests.
_ENOUGH = 1000


class Image(NamedTuple):
    """An image file of a manifest. path: relative to its folder."""

    folder: Path
    path: str
    source: str


class ManifestImages:
    """The images of the group "train" of manifests; masks and labels are not looked at.

    held_out: names of slices of the sources ``annotated`` that must not train.
    Keeps some 200 bytes an image, and 200 more for each slice that was drawn.
    """

    def __init__(
        self,
        manifests: dict[str, Path],
        *,
        held_out: frozenset[str] = frozenset(),
        annotated: tuple[str, ...] = (),
    ) -> None:
        self.counts: dict[str, int] = {}
        self.sha256 = {name: _sha256(path) for name, path in manifests.items()}
        self.images: list[Image] = []
        for name, path in manifests.items():
            before = len(self.images)
            self.images += (
                image
                for image in _train_images(path)
                if image.source not in annotated or stem(Path(image.path)) not in held_out
            )
            self.counts[name] = len(self.images) - before
        self._views: dict[int, tuple[View, ...]] = {}

    def draw(
        self, count: int, rng: np.random.Generator, *, among: list[Sample] | None = None
    ) -> tuple[list[Sample], int]:
        """``count`` samples, and how many images were left out on the way as they show no lungs.

        among: samples in memory that are drawn as if they were images of the manifests. All come
        up equally often, a volume with up to OF_A_VOLUME slices. Fewer are drawn where there are
        not so many. Raises InputError dataset-incomplete where no image shows lungs, or as
        ``read_scan`` for a file that cannot be read.
        """
        among = among or []
        samples: list[Sample] = []
        left_out = 0
        for index in rng.permutation(len(among) + len(self.images)).tolist():
            if len(samples) >= count or (left_out >= _ENOUGH and not samples):
                break
            crops = among[index : index + 1] or self._crops(index - len(among), rng)
            left_out += not crops
            samples += crops
        if not samples:
            raise InputError(
                "dataset-incomplete",
                f"No lungs in any of {left_out} images of {', '.join(self.sha256)}",
                expected="chest CT",
            )
        return samples[:count], left_out

    def _crops(self, index: int, rng: np.random.Generator) -> list[Sample]:
        """The lung-box crops of one image, drawn among those of a volume; none without lungs."""
        image = self.images[index]
        if image.source == covid_semiseg.NAME:  # crops already, stored transposed
            return [_sample(read_grey(image.folder / image.path).T, image, 0)]
        if self._views.get(index) == ():
            return []
        try:
            scan = read_scan(image.folder / image.path)
            if index not in self._views:
                self._views[index] = views_to_learn(scan)
        except InputError as error:
            if error.code in _DAMAGED:
                raise
            self._views[index] = ()
            return []
        views = self._views[index]
        chosen = rng.permutation(len(views))[:OF_A_VOLUME]
        return [_sample(views[i].cut(scan), image, views[i].index) for i in chosen.tolist()]


def _train_images(manifest: Path) -> Iterator[Image]:
    folder, sources = manifest.parent, dict[str, str]()
    for row in read_rows(manifest):
        if row.group == "train":
            yield Image(folder, row.path, sources.setdefault(row.source, row.source))


def _sample(image: np.ndarray, told: Image, index: int) -> Sample:
    nothing = np.zeros(image.shape, bool)
    return Sample(np.ascontiguousarray(image), nothing, f"{told.path}:{index}", told.source)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
