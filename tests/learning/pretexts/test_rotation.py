"""Rotation prediction: the turns, and that nothing but the slice tells them apart."""

import numpy as np
import torch

from lungscore.learning.pretexts.rotation import all_turns, square


def test_every_slice_comes_in_all_four_turns():
    image = torch.arange(8.0).view(2, 1, 2, 2)
    turned = all_turns(image)
    assert turned.shape == (8, 1, 2, 2)
    for turn in range(4):
        for index in range(2):
            expected = np.rot90(image[index, 0].numpy(), turn)
            np.testing.assert_array_equal(turned[2 * turn + index, 0].numpy(), expected)


def test_slices_are_cut_square_somewhere_along_the_longer_side():
    rng = np.random.default_rng(0)
    image = torch.arange(5 * 9.0).view(1, 1, 5, 9)
    squares = [square(image, rng) for _ in range(30)]
    assert {cut.shape for cut in squares} == {(1, 1, 5, 5)}
    assert {int(cut[0, 0, 0, 0]) for cut in squares} == set(range(5))
    assert square(image.mT, rng).shape == (1, 1, 5, 5)
