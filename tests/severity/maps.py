"""Random label maps, and the measure of them."""

from collections.abc import Mapping

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lungscore.anatomy import separate_lesions
from lungscore.severity import Segmentation, Severity, measure

SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, min_side=2, max_side=7)
#: Values on both sides of every edge of the bands.
NEAR_EDGES = (-1024, -901, -900, -899, -501, -500, -499, -201, -200, -101, -100, -99, 99, 100, 101)


def label_maps(shape: tuple[int, ...]) -> st.SearchStrategy[dict[str, np.ndarray]]:
    labels = {"lungs": 2, "lesions": 2, "lobes": 5, "regions": 20}
    arrays = {
        name: hnp.arrays(np.uint8, shape, elements=st.integers(0, n)) for name, n in labels.items()
    }
    arrays["hu"] = hnp.arrays(np.int16, shape, elements=st.sampled_from(NEAR_EDGES))
    return st.fixed_dictionaries(arrays).map(with_density)


def with_density(maps: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {**maps, "dense": (maps["hu"] >= -200).astype(np.uint8)}


MAPS = SHAPES.flatmap(label_maps)


def measured(maps: Mapping[str, np.ndarray], **more) -> Severity:
    """All that can be measured of the maps, number and size of lesions with ``voxel_ml``."""
    return measure(
        Segmentation(
            maps["lungs"],
            maps["lesions"],
            lobes=maps["lobes"],
            regions=maps["regions"],
            dense=maps["dense"].astype(bool),
            hu=maps["hu"],
            components=separate_lesions(maps["lungs"], maps["lesions"], maps["lobes"]),
            **more,
        )
    )
