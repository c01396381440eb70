"""Ratings of two raters: drawn or made up."""

import numpy as np
from hypothesis import strategies as st

ratings = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=25)


def columns(pairs) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.array(pairs, float).T
    return a, b


def made_up(n=20, seed=0, bias=2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    true = rng.normal(30, 10, n)
    return true + bias + rng.normal(0, 3, n), true + rng.normal(0, 3, n)
