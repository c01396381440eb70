"""Laplace filling against a direct solution, and against what is known of harmonic images."""

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import spsolve

from lungscore.learning.laplace import fill


def solved(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Every erased pixel the mean of its neighbours, by one sparse system."""
    height, width = image.shape
    rows, columns, values, right = [], [], [], []
    for index, kept in enumerate(mask.ravel()):
        row, column = divmod(index, width)
        near = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
        near = [(r, c) for r, c in near if 0 <= r < height and 0 <= c < width]
        right.append(image[row, column] if kept else 0.0)
        entries = [] if kept else [(r * width + c, -1.0) for r, c in near]
        entries.append((index, 1.0 if kept else float(len(near))))
        for at, value in entries:
            rows.append(index)
            columns.append(at)
            values.append(value)
    system = csr_matrix((values, (rows, columns)), shape=(mask.size, mask.size))
    return spsolve(system, np.array(right)).reshape(image.shape)


def test_holes_are_filled_as_a_direct_solution_fills_them():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 32, 48))
    masks = np.kron(rng.random((2, 4, 6)) > 0.5, np.ones((8, 8)))
    filled = fill(*(torch.from_numpy(values)[:, None] for values in (images, masks)))
    for image, mask, values in zip(images, masks, filled[:, 0].numpy(), strict=True):
        assert np.abs(values - solved(image, mask)).max() < 0.02
        assert np.array_equal(values[mask == 1], image[mask == 1])


def test_an_even_ramp_is_filled_in_exactly_and_nothing_left_stays_empty():
    ramp = torch.linspace(0, 1, 40).expand(1, 1, 40, 40)
    mask = torch.ones_like(ramp)
    mask[..., 8:24, 16:32] = 0
    torch.testing.assert_close(fill(ramp, mask), ramp, rtol=0, atol=5e-3)
    assert not fill(ramp, torch.zeros_like(ramp)).any()
