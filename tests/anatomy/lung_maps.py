"""What a lung network would say that knows the truth, for the tests of anatomy."""

import numpy as np

from lungscore.anatomy.lung_maps import LungMaps
from lungscore.anatomy.lung_view import LungView
from lungscore.scan import Scan


def maps_of(
    scan: Scan, labels: np.ndarray, airways: np.ndarray | None = None, *, certainty: int = 255
) -> LungMaps:
    """Maps of ``labels`` (D, H, W; 1 right, 2 left) and of the bool ``airways``.

    certainty: of all of it, of 255.
    """
    view = LungView.of(scan)
    drawn = view.labels(labels)
    air = np.zeros_like(drawn) if airways is None else view.labels(airways.astype(np.uint8))
    channels = [drawn == 1, drawn == 2, (air > 0) & (drawn == 0)]
    return LungMaps(np.stack(channels, axis=1).astype(np.uint8) * np.uint8(certainty), view)
