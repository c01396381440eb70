"""A figure with its interval: one record, and one way to write it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

#: What stands for a figure that is not given.
NOTHING = "–"


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval over ``n`` cases or pairs.

    value, or the interval alone, is None where it is not defined, and ``reason`` says why.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    reason: str | None = None

    @classmethod
    def read(cls, content: Mapping[str, Any], key: str = "value") -> "Estimate":
        """An estimate of a result file; key: what the file calls the figure ("mean", "auc")."""
        ends = (content.get(name) for name in (key, "low", "high"))
        value, low, high = (None if end is None or math.isnan(end) else end for end in ends)
        return cls(value, low, high, content.get("n", 0), content.get("reason"))

    def text(
        self,
        decimals: int = 3,
        *,
        unit: str = "",
        scale: float = 1.0,
        signed: bool = False,
        with_n: bool = False,
        below_one: bool = False,
        nothing: str = NOTHING,
    ) -> str:
        """``0.841 [0.815, 0.866], n = 1669``.

        unit: behind the value. scale: by which all are multiplied, 100 for percents. signed: a plus
        sign, too. with_n: the number of cases. below_one: what is less than 1 is never rounded to
        it. nothing: what is written where there is no value.
        """
        if self.value is None:
            return nothing

        def written(number: float) -> str:
            least_above = 1 - 0.5 * 10.0**-decimals
            if below_one and least_above <= number < 1:
                return f"> {1 - 10.0**-decimals:.{decimals}f}"
            return number_text(scale * number, decimals, signed=signed)

        text = written(self.value) + unit
        if self.low is not None and self.high is not None:
            text += f" [{written(self.low)}, {written(self.high)}]"
        return f"{text}, n = {self.n}" if with_n else text


#: Why a figure has no interval, where all resamples, or the formula, give the one value.
NO_WIDTH = "no interval: the few or equal values leave no room for one"


def without_degenerate(estimate: Estimate) -> Estimate:
    """``estimate`` without an interval of no width, which would pass for certainty.

    A coefficient of 1 over five pairs has the interval [1, 1] by every formula, and says nothing of
    the sixth.
    """
    if estimate.low is None or estimate.high is None or estimate.value is None:
        return estimate
    if estimate.high - estimate.low > 1e-12 * max(1.0, abs(estimate.value)):
        return estimate
    return replace(estimate, low=None, high=None, reason=NO_WIDTH)


def text_of(content: Mapping[str, Any], key: str = "mean", decimals: int = 3, **style: Any) -> str:
    """An estimate of a result file as Estimate.text writes it; key: as for Estimate.read."""
    return Estimate.read(content, key).text(decimals, **style)


def undefined(n: int, reason: str) -> Estimate:
    """A figure that cannot be given."""
    return Estimate(None, None, None, n, reason)


def number_text(value: float, decimals: int, *, signed: bool = False) -> str:
    """Rounded, with a true minus sign; never −0."""
    rounded = round(float(value), decimals) + 0.0
    return f"{rounded:{'+' if signed else ''}.{decimals}f}".replace("-", "−")
