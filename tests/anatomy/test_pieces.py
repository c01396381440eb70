import numpy as np

from lungscore.anatomy.pieces import join_pieces


def test_a_piece_apart_joins_what_it_touches_most():
    labels = np.zeros((1, 10, 20), np.uint8)
    labels[:, :, :10], labels[:, :, 10:] = 1, 2
    labels[:, 4:7, 15:18] = 1
    labels[:, 0, 19] = 3  # no number of this lobe
    join_pieces(labels, [1, 2], (1, 1, 1))
    assert (labels[:, :, 10:19] == 2).all()
    assert labels[0, 0, 19] == 3


def test_a_piece_that_joins_another_piece_goes_on_with_it():
    labels = np.zeros((1, 12, 30), np.uint8)
    labels[:, :, :10], labels[:, :, 10:20], labels[:, :, 20:] = 1, 2, 3
    labels[:, 4:8, 24:27] = 1  # within 3: an island of 1 ...
    labels[:, 5:7, 25] = 2  # ... with an island of 2 in it
    join_pieces(labels, [1, 2, 3], (1, 1, 1))
    assert (labels[:, :, 20:] == 3).all()


def test_an_island_in_nothing_stays():
    labels = np.zeros((1, 12, 30), np.uint8)
    labels[:, :, :10] = 1
    labels[:, 4:8, 20:24] = 1
    before = labels.copy()
    join_pieces(labels, [1, 2], (1, 1, 1))
    np.testing.assert_array_equal(labels, before)
