"""Many cases of one kind: a few in `make test`, all of them in `make check`."""

from collections.abc import Iterable
from typing import Any

import pytest


def sampled(values: Iterable[Any], *, every: int) -> list[Any]:
    """``values`` as parameters of a test; all but each ``every``-th, from the first, are slow."""
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)),
            marks=() if index % every == 0 else pytest.mark.slow,
        )
        for index, value in enumerate(values)
    ]
