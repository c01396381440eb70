"""Infection in single 2-D slices: the probability of every pixel, at the slice's own size."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from lungscore.anatomy import find_lungs
from lungscore.errors import InputError, Notice
from lungscore.inference.lesions import SliceFinding
from lungscore.inference.one_device import with_segmenter
from lungscore.inference.readings import THRESHOLD
from lungscore.inference.segment import Segmenter, classes
from lungscore.scan import Scan, read_scan
from lungscore.severity.edges import FLOOR_PERCENT


@dataclass(frozen=True)
class SlicePrediction:
    """infection: (H, W) uint8, round(255 · probability), never stretched to the image's range.

    classes: (H, W) uint8, 0 background, 1 GGO, 2 consolidation; above 0 exactly where the
    probability is at least 0.5, which is ``infection`` ≥ 128. infected_percent: 0–100, of the lungs
    of this slice, infection included; None where no lungs were found. notices: of the segmenter.
    """

    name: str
    infection: np.ndarray
    classes: np.ndarray
    infected_percent: float | None
    notices: tuple[Notice, ...] = ()

    @property
    def infection_pattern(self) -> bool | None:
        """Whether the slice shows a pattern of infection, from FLOOR_PERCENT of its lungs on.

        Not whose: other pneumonias, oedema and bleeding look alike. docs/benchmarks.md measures it.
        """
        return None if self.infected_percent is None else self.infected_percent >= FLOOR_PERCENT


def predict_slices(
    paths: Iterable[str | PathLike[str]], *, segmenter: Segmenter | None = None
) -> Iterator[SlicePrediction]:
    """Segment infection in single 2-D slices.

    Parameters
    ----------
    paths : iterable of path
        PNG or JPEG slices: crops to the lungs, also transposed as in COVID-SemiSeg, or full slices.
    segmenter : Segmenter, optional
        Loaded networks, to be kept for many calls.

    Yields
    ------
    SlicePrediction
        ``infection`` is (H, W) uint8, 255 × the probability of infection; ``classes`` is (H, W)
        uint8, 1 GGO and 2 consolidation, above 0 exactly where ``infection`` ≥ 128;
        ``infected_percent`` is 0 to 100, of the lungs in the slice. All have the size of the file.

    Raises
    ------
    InputError
        For a file that is not a single grey slice.

    Notes
    -----
    The network is Inf-Net (Fan et al., IEEE TMI 2020); docs/method.md describes it.

    Examples
    --------
    >>> import numpy as np
    >>> from PIL import Image
    >>> from lungscore import predict_slices
    >>> from lungscore.scan.phantom import make_phantom
    >>> hounsfield = make_phantom("many-patches", shape=(8, 96, 96)).scan.values[4]
    >>> grey = np.clip((hounsfield + 1250) / 1500, 0, 1) * 255  # lung window
    >>> Image.fromarray(grey.astype(np.uint8)).save("slice.png")
    >>> (prediction,) = predict_slices(["slice.png"])
    >>> prediction.infection.shape, prediction.infection_pattern
    ((96, 96), True)
    """
    segmenter = segmenter or Segmenter()
    for path in paths:
        yield predict_slice(read_scan(path), segmenter)


def predict_slice(scan: Scan, segmenter: Segmenter) -> SlicePrediction:
    """Predict the only slice of ``scan``. Raises InputError where it holds several."""
    if scan.shape[0] != 1:
        raise InputError(
            "volume-4d",
            f"{scan.name} contains {scan.shape[0]} slices",
            expected="one 2-D slice",
            hint="Use lungscore analyze for volumes",
        )
    try:
        lungs = find_lungs(scan)
    except InputError as error:
        # Without lungs the network still sees the whole slice, as it sees a crop.
        if error.code != "no-lungs":
            raise
        lungs = None

    def predicted(load: Callable[[], Segmenter]) -> tuple[SliceFinding, tuple[Notice, ...]]:
        (finding,) = load().find(scan, lungs)
        return finding, load().notices

    finding, notices = with_segmenter(lambda: segmenter, predicted)
    # Rounding first keeps the two pictures in step: 128 of 255 is just above one half.
    infection = np.floor(finding.probability * 255 + 0.5).astype(np.uint8)
    labels = classes(infection >= round(255 * THRESHOLD + 0.5), finding.dense)
    own = scan.geometry.to_source
    return SlicePrediction(
        Path(scan.name).name,
        np.squeeze(own(infection[None])),
        np.squeeze(own(labels[None])),
        None if lungs is None else _infected_percent(labels > 0, lungs.labels[0] > 0),
        notices,
    )


def _infected_percent(infected: np.ndarray, lungs: np.ndarray) -> float:
    """Percent of the lungs that is infected; dense infection at their edge is part of them."""
    return 100 * float(infected.sum() / (infected | lungs).sum())
