"""An estimate is written in one way, wherever it stands."""

import pytest

from lungscore.statistics.estimate import Estimate, number_text, text_of, undefined


def test_a_figure_is_told_with_its_interval_and_its_count() -> None:
    figure = {"mean": 0.75, "low": 0.7, "high": 0.791, "n": 24}
    assert text_of(figure) == "0.750 [0.700, 0.791]"
    assert text_of(figure, with_n=True) == "0.750 [0.700, 0.791], n = 24"
    assert Estimate.read(figure, "mean") == Estimate(0.75, 0.7, 0.791, 24)


@pytest.mark.parametrize(
    ("estimate", "style", "text"),
    [
        (Estimate(-0.004, -0.01, 0.02, 9), {"signed": True}, "−0.004 [−0.010, +0.020]"),
        (
            Estimate(0.78, 0.62, 0.88, 9),
            {"unit": " %", "scale": 100, "decimals": 0},
            "78 % [62, 88]",
        ),
        (Estimate(-0.0001, -0.0002, 0.0001, 9), {}, "0.000 [0.000, 0.000]"),
        (Estimate(0.99996, 0.9994, 1.0, 9), {"below_one": True}, "> 0.999 [0.999, 1.000]"),
        (Estimate(0.99996, 0.9994, 1.0, 9), {}, "1.000 [0.999, 1.000]"),
        (Estimate(0.5, None, None, 3, "few"), {"with_n": True}, "0.500, n = 3"),
        (undefined(2, "few"), {}, "–"),
        (undefined(2, "few"), {"nothing": "not given"}, "not given"),
    ],
)
def test_texts(estimate: Estimate, style: dict, text: str) -> None:
    assert estimate.text(**style) == text


def test_what_is_not_a_number_is_no_figure() -> None:
    nan = float("nan")
    assert Estimate.read({"mean": nan, "low": nan, "high": None, "n": 0}, "mean").text() == "–"
    assert number_text(-1.0, 1) == "−1.0"
