"""docs/performance.md: every figure with its command and n, missed aims called missed."""

import json
from pathlib import Path

import pytest

from aims import verdicts
from fit import PAGE, QUALITY, RESULTS, last_of_each, read_lines
from performance_page import page
from tests.speed.made_lines import HOST, latency_line, networks_line, stages_line

ALL_MET = [
    latency_line(25, 2.5, network=1.0),
    latency_line(300, 8.0, network=5.0),
    latency_line(800, 17.1, network=10.0, memory_mib=1400),
    latency_line(206, 6.0, name="P002"),
    networks_line(7.0),
]
NOTHING = Path("no-results")


def quality_of(folder: Path, own: float, other: float) -> Path:
    """Result files with a Dice each."""
    for name, mean in (("infection-slices", own), ("peer-Inf-Net", other)):
        dice = {"mean": mean, "low": mean - 0.05, "high": mean + 0.05, "n": 24}
        (folder / f"{name}.json").write_text(json.dumps({"figures": {"dice": dice}}))
    return folder


def words(lines: list[dict], quality: Path = NOTHING) -> dict[str, list[str]]:
    """The verdicts of a page by the first word of their aim's text."""
    rows = [row for row in page(lines, quality).splitlines() if row.startswith("| ")]
    aims = ("300 slices", "of these", "P002 in", "time linear", "at most 1.5", "a slice at least")
    return {
        aim: [row.split(" | ")[-1].rstrip(" |") for row in rows if row.startswith(f"| {aim}")]
        for aim in aims
    }


def test_aims_that_are_met_are_met(tmp_path: Path) -> None:
    found = words(ALL_MET, quality_of(tmp_path, 0.76, 0.75))
    assert all(each == ["met"] for each in found.values())


def test_every_aim_that_is_missed_is_said_to_be_missed(tmp_path: Path) -> None:
    lines = [
        latency_line(25, 9.0, network=1.0),
        latency_line(300, 10.1, network=6.0),
        latency_line(800, 11.0, network=10.0, memory_mib=1431),  # 1.5005 GB
        latency_line(206, 8.1, name="P002"),
        networks_line(5.9),
    ]
    found = words(lines, quality_of(tmp_path, 0.76, 0.75))
    assert all(each == ["**missed**"] for each in found.values())
    assert "6 missed and 0 not measured" in page(lines, tmp_path)


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    found = words([latency_line(50, 3.0)])
    assert all(each == ["not measured"] for each in found.values())
    text = page([], NOTHING)
    assert "Not measured yet." in text
    assert "6 not measured" in text


@pytest.mark.parametrize(
    ("own", "other", "word"), [(0.76, 0.75, "met"), (0.74, 0.75, "**missed**")]
)
def test_a_fast_network_needs_the_other_ones_dice(
    own: float, other: float, word: str, tmp_path: Path
) -> None:
    assert words(ALL_MET, quality_of(tmp_path, own, other))["a slice at least"] == [word]


def test_without_the_other_ones_dice_a_fast_network_is_not_yet_good_enough() -> None:
    assert words(ALL_MET)["a slice at least"] == ["not measured"]
    assert "Dice: not measured" in page(ALL_MET, NOTHING)


def test_the_dice_of_what_ships_now_does_not_stand_for_an_earlier_network(tmp_path: Path) -> None:
    line = networks_line(7.0)
    line["networks"][0] |= {"network": "an earlier one"}
    quality = quality_of(tmp_path, 0.76, 0.75)
    assert words([line], quality)["a slice at least"] == ["not measured"]
    assert "an earlier network (an earlier one), whose Dice is in looks.md" in page([line], quality)


def test_what_the_network_takes_is_not_the_stage_around_it() -> None:
    lines = [latency_line(300, 8.0, network=5.0)]  # 3 s outside the stage
    assert words(lines)["of these"] == ["met"]
    timed = stages_line(300, 8.0, network=3.5)  # but 4.5 s outside the network
    assert words([*lines, timed])["of these"] == ["**missed**"]
    other = stages_line(25, 8.0, network=3.5)
    assert words([*lines, other])["of these"] == ["met"]


def test_every_format_is_judged_by_itself() -> None:
    lines = [latency_line(300, 9.0), latency_line(300, 11.0, form="nifti")]
    assert words(lines)["300 slices"] == ["met", "**missed**"]


def test_two_sizes_do_not_show_that_time_is_linear() -> None:
    lines = [latency_line(25, 2.0), latency_line(50, 3.0)]
    assert words(lines)["time linear"] == ["not measured"]


def test_figures_stand_with_command_n_and_spread() -> None:
    text = page([*ALL_MET, stages_line(300, 8.0, 4.0)], NOTHING)
    for script in ("latency", "stages", "networks"):
        assert f"Command: `python experiments/speed/{script}.py -o made-up.jsonl`" in text
    assert "8.00 [7.99, 8.01], n = 3" in text
    assert "9 runs, 25–800 slices" in text
    assert "n = 3 repeats of 16 slices" in text
    assert "Some CPU (avx2 avx512f)" in text
    assert "This processor has no AMX." in text
    assert "17.80 M" in text
    assert "masks (another thread)" in text
    assert "Largest: network 3.50 s (44 %), lesions 0.50 s (6 %)." in text


def test_setups_stand_apart() -> None:
    lines = [latency_line(300, 9.0), latency_line(300, 5.0, precision="bf16")]
    lines.append(latency_line(300, 4.0, options=["--no-ranges"]))
    text = page(lines, NOTHING)
    for setup in ("openvino f32, with ranges", "openvino bf16, with", "openvino f32, without"):
        assert text.count(f"2 threads, {setup}") == 1


def test_other_processors_networks_do_not_count() -> None:
    other = networks_line(7.0) | {"host": HOST | {"cpu": "Other CPU"}}
    scans = [latency_line(300, 9.0)]
    assert words([*scans, other])["a slice at least"] == ["not measured"]


def test_a_host_that_hides_its_flags_is_not_said_to_lack_amx() -> None:
    text = page([latency_line(300, 9.0, host=HOST | {"flags": None})], NOTHING)
    assert "This processor does not tell whether it has AMX." in text


def test_the_last_line_of_an_input_counts(tmp_path: Path) -> None:
    lines = [latency_line(300, 9.0), latency_line(25, 2.0), latency_line(300, 7.0)]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "latency.jsonl").write_text(content, encoding="utf-8")
    found = last_of_each(read_lines(tmp_path))
    assert sorted(line["wall_seconds"]["p50"] for line in found) == [2.0, 7.0]
    assert len(verdicts(found, [], [], NOTHING)) == 6


def test_the_page_says_what_the_committed_lines_say() -> None:
    lines, before = (last_of_each(read_lines(each)) for each in (RESULTS, RESULTS / "before"))
    assert PAGE.read_text("utf-8") == page(lines, QUALITY, before)


def test_what_tuning_changed_stands_with_both_commits() -> None:
    old = latency_line(
        300, 16.0, commit="0ld0000", sha256={"lungs.nii.gz": "a", "result.json": "b"}
    )
    new = latency_line(300, 8.0, sha256={"lungs.nii.gz": "a", "result.json": "c"})
    other = latency_line(300, 16.0, precision="bf16")
    text = page([new], NOTHING, [old, other])
    assert "16.0 → 8.0 (÷ 2.00)" in text
    assert "| 1 of 2 | 0ld0000 → abc0123 |" in text
    assert text.count(" → ") == 4
    assert "What tuning changed" not in page([new], NOTHING, [other])
