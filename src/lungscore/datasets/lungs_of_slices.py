"""Where training slices show lung: disease is made there and nowhere else."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from lungscore.anatomy import find_lungs
from lungscore.datasets import covid_semiseg, medseg
from lungscore.datasets.images import files_by_stem
from lungscore.datasets.sample import Sample
from lungscore.errors import InputError
from lungscore.scan import read_scan
from lungscore.scan.window import crop


def with_lungs(samples: Iterable[Sample], root: Path) -> list[Sample]:
    """The same slices with their lungs: as rules find them in the picture, and what is infected.

    root: the folder of the datasets. Slices that bring their lungs keep them; those of other
    datasets than COVID-SemiSeg's and MedSeg's annotated ones stay without.
    """
    finder = _Pictures(root)
    return [finder.complete(sample) for sample in samples]


class _Pictures:
    """Lungs of the annotated slices, by the picture that a slice was cut from."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lungs: dict[Path, np.ndarray] = {}

    def complete(self, sample: Sample) -> Sample:
        if sample.lungs is not None:
            return sample
        if sample.source == covid_semiseg.NAME:
            file = covid_semiseg.image_files(self.root / covid_semiseg.NAME, "train")[sample.name]
            lungs = self._found(file).T
        elif sample.source == medseg.NAME:
            folder = self.root / "medseg-slices"
            file = files_by_stem(folder / "images")[sample.name]
            lungs = crop(self._found(file), medseg.training_boxes(folder)[sample.name])
        else:
            return sample
        return replace(sample, lungs=np.ascontiguousarray(lungs | sample.infection))

    def _found(self, file: Path) -> np.ndarray:
        """(H, W) bool of the picture as it is stored; nothing where no lungs are found."""
        if file not in self.lungs:
            scan = read_scan(file)
            try:
                self.lungs[file] = find_lungs(scan).labels[0] > 0
            except InputError:
                self.lungs[file] = np.zeros(scan.shape[1:], bool)
        return self.lungs[file]
