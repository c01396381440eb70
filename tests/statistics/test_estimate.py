"""An estimate is written in one way, wherever it stands."""

import pytest

from lungscore.statistics.estimate import Estimate, number_text, text_of, undefined


def test_a_figure_is_told_with_its_interval_and_its_count() -> None:
    figure = {"mean": 0.75, "low": 0.7, "high": 0.791, "n": 24}
    assert text_of(figure) == "0.750 [0.700, 0.791]"
    assert text_of(figure, with_n=True) == "0.750 [0.700, 0.791], n = 24"
    assert Estimate.read(figure, "mean") == Estimate(0.75, 0.7, 0.791, 24)


@pytest.mark.parametrize(
    ("parts", "style", "text"),
    [
        ((-0.004, -0.01, 0.02, 9), {"signed": True}, "−0.004 [−0.010, +0.020]"),
        (
            (0.78, 0.62, 0.88, 9),
            {"unit": " %", "scale": 100, "decimals": 0},
            "78 % [62, 88]",
        ),
        ((-0.0001, -0.0002, 0.0001, 9), {}, "0.000 [0.000, 0.000]"),
        ((0.99996, 0.9994, 1.0, 9), {"below_one": True}, "> 0.999 [0.999, 1.000]"),
        ((0.99996, 0.9994, 1.0, 9), {}, "1.000 [0.999, 1.000]"),
        ((0.5, None, None, 3, "few"), {"with_n": True}, "0.500, n = 3"),
        ((None, None, None, 2, "few"), {}, "–"),
        ((None, None, None, 2, "few"), {"nothing": "not given"}, "not given"),
    ],
)
def test_texts(parts: tuple, style: dict, text: str) -> None:
    assert Estimate(*parts).text(**style) == text


def test_what_is_not_a_number_is_no_figure() -> None:
    nan = float("nan")
    assert Estimate.read({"mean": nan, "low": nan, "high": None, "n": 0}, "mean").text() == "–"
    assert number_text(-1.0, 1) == "−1.0"


def test_a_figure_without_a_name_of_its_own_is_called_value() -> None:
    content = {"value": 0.5, "low": 0.25, "high": 0.75, "n": 4, "reason": "few"}
    assert Estimate.read(content) == Estimate(0.5, 0.25, 0.75, 4, "few")


def test_a_figure_that_cannot_be_given_says_why() -> None:
    assert undefined(2, "few") == Estimate(None, None, None, 2, "few")


def test_half_an_interval_is_none() -> None:
    assert Estimate(0.5, 0.4, None, 3).text() == Estimate(0.5, None, 0.6, 3).text() == "0.500"


def test_what_a_file_lacks_is_not_given() -> None:
    assert Estimate.read({"mean": 0.5}, "mean") == Estimate(0.5, None, None, 0, None)
    figure = {"auc": 0.99, "low": 0.94, "high": 0.999, "n": 7}
    assert text_of(figure, "auc", 1, below_one=True) == "> 0.9 [0.9, > 0.9]"
    assert text_of({"mean": 0.1234}, decimals=2) == "0.12"


@pytest.mark.parametrize(
    ("value", "text"), [(0.99947, "0.999"), (0.9995, "> 0.999"), (1.0, "1.000"), (1.2, "1.200")]
)
def test_only_what_would_be_rounded_to_one_lies_above(value: float, text: str) -> None:
    assert Estimate(value, None, None, 3).text(below_one=True) == text


def test_percents_below_one_hundred_are_told_of_the_share() -> None:
    assert number_text(0.04, 1, signed=True) == "+0.0"
    assert number_text(2.25, 1) == "2.2"
