"""What all parts of result.json share: strict models and rounded numbers."""

from pydantic import BaseModel, ConfigDict

#: Decimals written to result.json: percents and millimetres, millilitres, voxel sizes,
#: probabilities.
PERCENT_DECIMALS, MILLILITRE_DECIMALS, SPACING_DECIMALS, PROBABILITY_DECIMALS = 4, 3, 6, 4
#: What the atlas can say of an overlap.
DICE_DECIMALS = 2


class Model(BaseModel):
    """A part of result.json: no unknown keys, no later changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


def percent(value: float | None) -> float | None:
    """Rounded to PERCENT_DECIMALS."""
    return rounded(value, PERCENT_DECIMALS)


def millilitres(value: float | None) -> float | None:
    """Rounded to MILLILITRE_DECIMALS."""
    return rounded(value, MILLILITRE_DECIMALS)


def rounded(value: float | None, decimals: int) -> float | None:
    """Rounded; -0.0 becomes 0.0 so that equal results have equal bytes."""
    return None if value is None else round(float(value), decimals) + 0.0
