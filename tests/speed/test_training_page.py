"""docs/performance-training.md: words that follow from the figures, and no others."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import pytest

import training
from tests.speed.made_lines import HOST, training_line, training_row
from training_page import CHOICES, LINES, PAGE, TITLES, changed, page, read_lines, verdict

NOW, BEFORE = training_row(20.0, 24.0, 22.0), training_row(10.0, 11.0, 12.0, **training.BEFORE)


def rows_of(text: str, start: str) -> list[str]:
    return [row for row in text.splitlines() if row.startswith(f"| {start}")]


def test_before_and_now_stand_beside_each_other_with_range_and_per_core():
    (row,) = rows_of(page([training_line(NOW, BEFORE)]), "Supervised training")
    # Turn by turn: 2, 24 / 11 and 22 / 12.
    assert row == (
        "| Supervised training | 3 | 11.0 [10.0, 12.0] | 5.5 | 22.0 [20.0, 24.0] | 11.0 | "
        "2.00 [1.83, 2.18] |"
    )


def test_what_was_tried_is_told_as_a_change_and_judged_by_its_figures():
    tried = [
        training_row(40.0, 48.0, 44.0, batch=32),
        training_row(21.0, 23.0, 22.0, fused=False),
        training_row(16.0, 12.0, 14.0, threads=1),
    ]
    text = page([training_line(NOW, BEFORE, *tried)])
    (now,), (before,) = rows_of(text, "now: "), rows_of(text, "before |")
    assert "bf16, weights in channels_last, AdamW fused" in now
    assert "batches of 16, 2 threads | 3 | 22.0 [20.0, 24.0] | 11.0 | 1 |  |" in now
    assert before.endswith("| slower |")
    (batch,), (fused,) = rows_of(text, "batches of 32 |"), rows_of(text, "AdamW not fused |")
    assert batch.endswith("| 2.00 [2.00, 2.00] | faster |")
    assert fused.endswith("| no clear difference |")
    (one_thread,) = rows_of(text, "1 thread |")
    assert "| 14.0 [12.0, 16.0] | 14.0 |" in one_thread  # per core of its own threads
    assert "drawing 5.2, forward 15.0." in text


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (1.06, 1.2, "faster"),
        (1.04, 1.2, "no clear difference"),
        (0.8, 0.96, "no clear difference"),
        (0.8, 0.94, "slower"),
        (0.5, 2.0, "no clear difference"),
        (math.nan, math.nan, "no clear difference"),
    ],
)
def test_a_verdict_needs_the_whole_interval(low, high, word):
    assert verdict({"low": low, "high": high}) == word


@pytest.mark.parametrize(
    ("speed", "first", "words"),
    [
        (44.0, 67.0, "torch.compile (first epoch 65 s longer, won back after 2860 slices)"),
        (20.0, 67.0, "torch.compile (first epoch 65 s longer, never won back)"),
        (44.0, 2.0, "torch.compile"),
    ],
)
def test_compiling_is_weighed_against_its_first_epoch(speed, first, words):
    assert changed(training_row(*[speed] * 3, first=first, compiled=True), NOW) == words


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_page_has_words_for_every_setting_that_is_measured(monkeypatch, device):
    monkeypatch.setattr(training, "available_threads", lambda: 2)
    assert TITLES.keys() == training.KINDS.keys()
    for kind in training.KINDS:
        now, *others = map(asdict, training.settings(kind, device, quick=False, compiled=True))
        assert set(CHOICES) == now.keys()
        others = [{**each, **training_row(1, 2, 3), **each} for each in others]
        words = [changed(each, {**training_row(1, 2, 3), **now}) for each in others]
        assert all(words)
        assert len(set(words)) == len(words)


def test_every_device_has_a_section_and_what_is_missing_is_said():
    text = page([])
    assert text.count("Not measured on this version.") == 2
    gpu = training_line(NOW, BEFORE, device="Some GPU", kind="coach")
    text = page([gpu, training_line(NOW, BEFORE)])
    assert "Not measured" not in text
    on_cpu, on_gpu = text.split("## GPU: Some GPU, beside Some CPU (avx2 avx512f), 2 threads")
    assert "## CPU: Some CPU (avx2 avx512f), 2 threads" in on_cpu
    assert "| per core |" in on_cpu
    assert "| per core |" not in on_gpu
    assert "### Pre-training by inpainting, with a coach: what was tried" in on_gpu
    assert page([gpu]).count("## CPU\n\nNot measured on this version.") == 1


def test_the_last_line_of_a_kind_on_a_device_counts():
    other = training_line(NOW, BEFORE, host=HOST | {"cpu": "Other CPU"})
    lines = [training_line(NOW, BEFORE), other, training_line(BEFORE, BEFORE)]
    lines.insert(0, training_line(NOW, BEFORE, kind="coach"))
    text = page(lines)
    own = text.split("## CPU: Other CPU")[0]
    assert len(rows_of(own, "Pre-training by inpainting, with a coach")) == 1
    (row,) = rows_of(own, "Supervised training")
    assert row.endswith("| 1.00 [1.00, 1.00] |")


def test_figures_stand_with_what_they_were_measured_by():
    text = page([training_line(NOW, BEFORE, commit="0123456789-dirty")])
    assert (
        "`python experiments/speed/training.py -o made-up.jsonl`, commit 0123456789-dirty" in text
    )
    assert "(**the code differed from this commit**), 2026-01-02." in text
    assert "Load of the machine before: 0.1." in text
    assert "torch 2.11.0. Slices of 192 × 256, 2 batches an epoch, seed 0." in text
    assert "**the code differed" not in page([training_line(NOW, BEFORE)])


def test_no_file_is_no_lines(tmp_path):
    assert read_lines(tmp_path / "none.jsonl") == []
    line = training_line(NOW, BEFORE)
    (tmp_path / "some.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert read_lines(tmp_path / "some.jsonl") == [line]


def test_the_page_says_what_the_committed_lines_say_and_they_are_of_commits():
    lines = read_lines(LINES)
    assert PAGE.read_text("utf-8") == page(lines)
    assert not any(str(line["commit"]).endswith("-dirty") for line in lines)
    assert "(performance-training.md)" in Path(PAGE.with_name("performance.md")).read_text("utf-8")
