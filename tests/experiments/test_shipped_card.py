"""The figures on the shipped infection network's card are those of its result files."""

import json
from pathlib import Path

from lungscore.inference import load_bundle

RESULTS = Path(__file__).parents[2] / "experiments" / "results"


def test_the_card_says_what_its_result_files_say() -> None:
    metrics = load_bundle("infection").card.metrics
    assert metrics
    for metric in metrics:
        content = json.loads((RESULTS / str(metric["result"])).read_text(encoding="utf-8"))
        assert {key: metric[key] for key in ("name", "text")} in content["card"]
