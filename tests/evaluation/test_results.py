"""Result files are plain JSON."""

import json

import numpy as np
import pytest

from lungscore.evaluation.results import write_result


def test_result_files_are_plain_json_with_command_and_interval(tmp_path):
    figures = {"a": float("nan"), "b": (1, np.float64(0.12345678)), "c": {"low": float("inf")}}
    write_result(tmp_path / "r.json", command="lungscore evaluate x", figures=figures, card=[])
    text = (tmp_path / "r.json").read_text()
    content = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert content["figures"] == {"a": None, "b": [1, 0.123457], "c": {"low": None}}
    assert content["command"] == "lungscore evaluate x"
    assert content["bootstrap"]["resamples"] == 10_000
