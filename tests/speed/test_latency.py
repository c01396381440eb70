"""Whole runs in fresh processes, and the lines that say what they took."""

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import inputs
from host import cpu_flags
from inputs import phantom
from latency import append, checksums, command, measure, real_scan, spread
from lungscore.scan import read_scan
from processes import python, run_measured


@pytest.mark.slow
def test_a_line_says_what_ran_on_what_and_what_it_took(
    phantom_file: Path, stand_in_model: Path, tmp_path: Path
) -> None:
    options = ["--model", str(stand_in_model), "--threads", "1", "--no-ranges"]
    line = measure(phantom_file, {"name": "chest", "format": "nifti"}, options, repeats=2)
    append(tmp_path / "lines.jsonl", line)
    line = json.loads((tmp_path / "lines.jsonl").read_text("utf-8"))
    assert line["schema"] == "lungscore.latency/1"
    assert line["input"] == {"name": "chest", "format": "nifti", "slices": 16}
    assert {"cpu", "flags", "system", "python", "load"} <= line["host"].keys()
    assert {"lungscore", "numpy", "openvino"} <= line["versions"].keys()
    assert (line["threads"], line["engine"], line["precision"]) == (1, "openvino", "f32")
    stages = line["stages"]
    assert {"read", "lungs", "lesions", "regions", "scores", "write"} <= stages.keys()
    figures = [line[key] for key in ("wall_seconds", "cpu_seconds", "peak_memory_mib")]
    for each in (*figures, *stages.values()):
        assert len(each["values"]) == line["repeats"] == 2
        assert min(each["values"]) <= each["p50"] <= each["p95"] <= max(each["values"])
    of_stages = np.sum([each["values"] for each in stages.values()], axis=0)
    assert of_stages == pytest.approx(line["wall_seconds"]["values"], abs=0.01)
    assert min(line["peak_memory_mib"]["values"]) > 50
    assert {"lungs.nii.gz", "lesions.nii.gz", "result.json"} <= line["sha256"].keys()


@pytest.mark.slow
def test_a_run_that_fails_gives_no_line_but_its_own_message(tmp_path: Path) -> None:
    (tmp_path / "no-scan.txt").write_text("nothing")
    with pytest.raises(SystemExit, match=r"analyze ended with 3: .*no-scan\.txt"):
        measure(tmp_path / "no-scan.txt", {}, [], repeats=1)


def test_checksums_are_of_labels_not_of_their_compression(tmp_path: Path) -> None:
    found = []
    for level in (1, 9):
        (tmp_path / "lungs.nii.gz").write_bytes(gzip.compress(b"labels" * 99, level))
        (tmp_path / "result.json").write_text("{}")
        found.append(checksums(tmp_path))
    assert found[0] == found[1]
    assert found[0].keys() == {"lungs.nii.gz", "result.json"}


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_percentiles_are_those_of_numpy(count: int) -> None:
    values = np.random.default_rng(count).random(count).round(4).tolist()
    found = spread(values)
    assert found["values"] == values
    assert found["p50"] == pytest.approx(np.median(values), abs=1e-4)
    assert found["p95"] == pytest.approx(np.percentile(values, 95), abs=1e-4)


def test_the_command_names_no_folder_of_this_computer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = [str(tmp_path / "latency.py"), "-o", str(tmp_path / "x.jsonl"), "--scan", "covid/P002"]
    monkeypatch.setattr(sys, "argv", words)
    assert command() == "python experiments/speed/latency.py -o x.jsonl --scan covid/P002"


def test_a_real_scan_is_found_in_the_folder_of_real_scans(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LUNGSCORE_DATA", str(tmp_path))
    (tmp_path / "set/P9").mkdir(parents=True)
    assert real_scan("set/P9") == tmp_path / "set/P9"
    with pytest.raises(SystemExit, match="No such file or folder: set/P8"):
        real_scan("set/P8")


def test_flags_are_those_that_matter(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("model name\t: X\nflags\t\t: fpu amx_bf16 sse avx2\nflags\t\t: fpu\n")
    assert cpu_flags(file) == ["avx2", "amx_bf16"]
    assert cpu_flags(tmp_path / "none") is None


# Inputs


@pytest.mark.parametrize("form", ["dicom", "nifti"])
def test_phantoms_are_made_in_every_format(form: str, tmp_path: Path) -> None:
    path = phantom(16, form, tmp_path / "cache", side=96)
    scan = read_scan(path)
    assert scan.shape == (16, 96, 96)
    assert scan.kind == form


@pytest.mark.parametrize("form", ["dicom", "nifti"])
def test_a_phantom_that_is_there_is_not_made_again(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = phantom(16, form, tmp_path, side=96)
    monkeypatch.delattr(inputs, "make_phantom")
    assert phantom(16, form, tmp_path, side=96) == path


# Processes

HOLD = "x = bytearray(150 * 2**20); import time; time.sleep(0.5)"


@pytest.mark.slow
def test_a_process_is_measured_with_its_helpers() -> None:
    alone = run_measured(python("-c", HOLD))
    assert alone.code == 0
    assert 150 < alone.peak_memory_mib < 250
    helper = f"import subprocess, sys; h = subprocess.Popen([sys.executable, '-c', {HOLD!r}])"
    both = run_measured(python("-c", f"{helper}; {HOLD}; h.wait()"))
    assert both.peak_memory_mib > 300


def test_a_failed_process_says_so() -> None:
    done = run_measured(python("-c", "import sys; sys.exit('no luck')"))
    assert (done.code, done.stderr.strip()) == (1, "no luck")
