"""Segmentation of a scan: only slices with lung, each in its lung box, one at a time."""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

import numpy as np

from lungscore.anatomy import Lungs, lung_field
from lungscore.errors import Notice
from lungscore.inference.bundle import Bundle, load_bundle
from lungscore.inference.engines import make_engine
from lungscore.inference.lesions import Lesions
from lungscore.inference.views import views
from lungscore.labels import CONSOLIDATION, GGO
from lungscore.scan import Scan

#: Infected means a probability of at least this, everywhere and always.
THRESHOLD = 0.5

#: Infection at or above this is counted as consolidation (high opacity, Chaganti et al. 2020).
DENSE_HU = -200


class Segmenter:
    """A loaded model, kept for as many scans as wanted."""

    def __init__(
        self,
        bundle: Bundle | None = None,
        *,
        engine: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        """Raises ResourceError where the model or the engine is missing or damaged."""
        self.bundle = bundle or load_bundle()
        self._run, self.engine = make_engine(
            self.bundle, name=engine, precision=precision, threads=threads
        )

    def probabilities(self, scan: Scan, lungs: Lungs | None) -> Iterator[tuple[int, np.ndarray]]:
        """(slice index, (H, W) float32 probability of infection) for every slice that is seen.

        Several views of one slice are averaged. One slice is in memory at a time. Outside the view
        the probability is 0.
        """
        spec = self.bundle.card.input
        seen = list(views(scan, lungs))
        maps = self._run(view.of(scan, spec) for view in seen)
        backs = (
            (view.index, view.back(probability, scan.shape[1:]))
            for view, probability in zip(seen, maps, strict=True)
        )
        for index, group in groupby(backs, key=itemgetter(0)):
            yield index, np.mean([probability for _, probability in group], axis=0)


def segment(scan: Scan, lungs: Lungs, segmenter: Segmenter) -> Lesions:
    """Infection in ``scan``, told apart into GGO and consolidation by a threshold.

    Only what lies in the lungs or where dense disease may hide lung (anatomy.lung_field) counts.
    The threshold is -200 HU, or the grey level that the model's card states where there are no
    Hounsfield units; the notice ``hu-split`` says so.
    """
    infected = np.zeros(scan.shape, bool)
    for index, probability in segmenter.probabilities(scan, lungs):
        infected[index] = probability >= THRESHOLD
    infected &= lung_field(lungs, scan.spacing_mm)
    grey_split = segmenter.bundle.card.input.grey_split
    labels = split_by_density(scan.values, infected, scan.units, grey_split=grey_split)
    cut = f"{DENSE_HU} HU" if scan.units == "hu" else f"grey level {grey_split * 255:.0f} of 255"
    notice = Notice(
        "hu-split",
        f"Ground-glass opacity and consolidation are told apart at {cut}, "
        "not by a network that has learned the two.",
    )
    return Lesions(labels, (segmenter.bundle.used,), segmenter.engine, (notice,))


def split_by_density(
    values: np.ndarray, infected: np.ndarray, units: str, *, grey_split: float
) -> np.ndarray:
    """uint8 labels: GGO below, consolidation at or above the threshold, 0 where not infected."""
    dense = values >= (DENSE_HU if units == "hu" else grey_split * 255)
    labels = np.where(dense, np.uint8(CONSOLIDATION), np.uint8(GGO))
    labels[~infected] = 0
    return labels
