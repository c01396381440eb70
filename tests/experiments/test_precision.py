"""Which precision may be taken for float32."""

import pytest

from precision import summary


def rows(points: float) -> dict:
    row = {
        "f32": {"points": 0.0, "network_seconds": 2.0},
        "bf16": {"points": points, "network_seconds": 1.0},
    }
    return {"a": row, "b": row}


def counts(real: int, phantoms: int) -> dict:
    """Voxels of both of 10 000 and 10 000, in two volumes."""
    return {
        "real": [(real, 20_000), (10_000, 20_000)],
        "phantoms": [(phantoms, 20_000)],
    }


@pytest.mark.parametrize(
    ("real", "phantoms", "points", "equal"),
    [
        (10_000, 10_000, 0.0, True),
        (9_980, 9_990, 0.1, True),  # volumes are taken together
        (9_970, 10_000, 0.0, False),
        (10_000, 9_980, 0.0, False),
        (10_000, 10_000, -0.2, False),
    ],
)
def test_dice_and_burden_both_count(real, phantoms, points, equal):
    figures = summary("bf16", rows(points), counts(real, phantoms))
    assert figures["equal_to_f32"] is equal
    assert figures["relative_time"] == 0.5
    assert figures["most_points"] == abs(points)
