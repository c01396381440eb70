"""Result files are plain JSON, and figures are told with interval and count."""

import json

import numpy as np
import pytest

from lungscore.evaluation.results import with_interval, write_result


def test_result_files_are_plain_json_with_command_and_interval(tmp_path):
    figures = {"a": float("nan"), "b": (1, np.float64(0.12345678)), "c": {"low": float("inf")}}
    write_result(tmp_path / "r.json", command="lungscore evaluate x", figures=figures, card=[])
    text = (tmp_path / "r.json").read_text()
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert found["figures"] == {"a": None, "b": [1, 0.123457], "c": {"low": None}}
    assert found["command"] == "lungscore evaluate x"
    assert found["bootstrap"]["resamples"] == 10_000


def test_a_figure_is_told_with_its_interval_and_its_count():
    figure = {"mean": 0.75, "low": 0.7, "high": 0.791, "n": 24}
    assert with_interval(figure) == "0.750 [0.700, 0.791], n = 24"
