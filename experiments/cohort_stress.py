"""A cohort of generated scans, 15 % of them faulty in different ways: does it run through?

    python experiments/cohort_stress.py FOLDER --model NAME|FOLDER

writes experiments/results/cohort-stress.json: how many cases were analysed, whether each fault got
its code, the memory of the one worker after 40 and after all cases, and what was left behind. The
scans are small phantoms, made in FOLDER; without --model the shipped model reads them.
"""

import argparse
import csv
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from PIL import Image

from lungscore.files import atomic_write
from lungscore.scan import Scan
from lungscore.scan.phantom import make_phantom
from lungscore.scan.write import write_dicom_series, write_nifti
from lungscore.version import __version__

RESULT = Path(__file__).parent / "results" / "cohort-stress.json"
CASES, SHARE_FAULTY, EARLY = 200, 0.15, 40
#: Memory swings within a case: the median over so many cases is compared.
WINDOW = 10
SHAPE = (16, 80, 80)
PRESETS = ("healthy", "mild", "moderate", "severe", "dense")


def truncated_dicom(scan: Scan, path: Path) -> None:
    write_dicom_series(scan, path)
    file = sorted(path.iterdir())[5]
    file.write_bytes(file.read_bytes()[:-1000])


def other_modality(scan: Scan, path: Path) -> None:
    write_dicom_series(scan, path)
    for file in path.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.Modality = "MR"
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        dataset.save_as(file)


def missing_slice(scan: Scan, path: Path) -> None:
    write_dicom_series(scan, path)
    sorted(path.iterdir())[7].unlink()


def two_patients(scan: Scan, path: Path) -> None:
    write_dicom_series(scan, path)
    for file in sorted(path.iterdir())[8:]:
        dataset = pydicom.dcmread(file)
        dataset.PatientID, dataset.SeriesInstanceUID = "another", "1.2.3"
        dataset.StudyInstanceUID = "1.2.4"
        dataset.save_as(file)


def text_dicom(scan: Scan, path: Path) -> None:
    path.mkdir()
    (path / "1.dcm").write_text("no image")


def nifti(change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> Callable:
    """A fault made by changing a good volume and its affine."""

    def make(scan: Scan, path: Path) -> None:
        values = scan.geometry.to_source(scan.values).astype(np.float32)
        image = nib.Nifti1Image(*change(values, scan.geometry.affine.copy()))
        image.header["pixdim"][1:4] = 3.75
        nib.save(image, path.with_name(path.name + ".nii"))

    return make


def singular(scan: Scan, target: Path) -> None:
    write_nifti(scan, path := target.with_name(target.name + ".nii"))
    content = bytearray(path.read_bytes())
    content[252:256] = b"\0\0\1\0"  # qform_code 0, sform_code 1
    content[280:328] = bytes(48)  # srow_x, srow_y, srow_z
    path.write_bytes(content)


def not_finite(values: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values[20:60, 20:60] = np.nan
    return values, affine


def cut_off(scan: Scan, target: Path) -> None:
    write_nifti(scan, path := target.with_name(target.name + ".nii.gz"))
    path.write_bytes(path.read_bytes()[:4000])


def written(ending: str, content: bytes) -> Callable:
    return lambda scan, path: path.with_name(path.name + ending).write_bytes(content) and None


def nested(scan: Scan, path: Path) -> None:
    with zipfile.ZipFile(inner := path.with_name("inner"), "w") as archive:
        archive.writestr("a", "b")
    with zipfile.ZipFile(path.with_name(path.name + ".zip"), "w") as archive:
        archive.write(inner, "inner.zip")
    inner.unlink()


def bomb(scan: Scan, path: Path) -> None:
    with zipfile.ZipFile(path.with_name(path.name + ".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(64 * 2**20))


def coloured(scan: Scan, path: Path) -> None:
    path.mkdir()
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for index in range(3):
        Image.fromarray(picture).save(path / f"{index}.png")


def sizes_differ(scan: Scan, path: Path) -> None:
    path.mkdir()
    for index, slice_ in enumerate(scan.values[6:9]):
        grey = np.clip((slice_ + 1000) / 6, 0, 255).astype(np.uint8)
        Image.fromarray(grey[: 80 - index]).save(path / f"{index}.png")


#: What is done to a scan -> the codes with which it may end.
FAULTS: dict[str, tuple[Callable[[Scan, Path], None], set[str]]] = {
    "truncated DICOM": (truncated_dicom, {"dicom-truncated"}),
    "MR instead of CT": (other_modality, {"wrong-modality"}),
    "missing slice": (missing_slice, {"slice-gap"}),
    "two patients": (two_patients, {"mixed-patients"}),
    "text called DICOM": (text_dicom, {"input-empty"}),
    "empty folder": (lambda scan, place: place.mkdir(), {"input-empty"}),
    "empty file": (written(".nii.gz", b""), {"input-empty"}),
    "text called NIfTI": (written(".nii.gz", b"no scan at all"), {"format-not-recognised"}),
    "NIfTI cut off": (cut_off, {"input-unreadable"}),
    "deflated nothing": (written(".nii.gz", gzip.compress(b"")), {"format-not-recognised"}),
    "four axes": (nifti(lambda v, a: (np.stack([v, v], -1), a)), {"volume-4d"}),
    "constant": (nifti(lambda v, a: (np.zeros_like(v), a)), {"constant-image"}),
    "singular affine": (singular, {"geometry-invalid"}),
    "not finite": (nifti(not_finite), {"not-finite"}),
    "normalised": (nifti(lambda v, a: ((v + 1024) / 4096, a)), {"not-hounsfield"}),
    "metres": (nifti(lambda v, a: (v, a @ np.diag([1e-3] * 3 + [1]))), {"spacing-out-of-range"}),
    "water": (nifti(lambda v, a: (np.maximum(v, -400), a)), {"not-hounsfield", "no-lungs"}),
    "zip in a zip": (nested, {"archive-unsafe"}),
    "zip bomb": (bomb, {"archive-unsafe"}),
    "broken zip": (written(".zip", b"PK\x03\x04 and no more"), {"archive-damaged"}),
    "colour": (coloured, {"colour-image"}),
    "sizes differ": (sizes_differ, {"slices-differ-in-size"}),
}


def generate(folder: Path, cases: int = CASES) -> dict[str, str]:
    """The scans, and which case has which fault."""
    folder.mkdir(parents=True)
    faulty, names = {}, list(FAULTS)
    count = round(cases * SHARE_FAULTY)
    for index in range(cases):
        name = f"case {index:03}"
        scan = make_phantom(PRESETS[index % len(PRESETS)], seed=index, shape=SHAPE).scan
        if index * count // cases != (index + 1) * count // cases:
            fault = names[len(faulty) % len(names)]
            FAULTS[fault][0](scan, folder / name)
            faulty[name] = fault
        elif index % 10 == 3:
            write_dicom_series(scan, folder / name)
        else:
            write_nifti(scan, folder / f"{name}.nii.gz")
    return faulty


def resident_mib(process: int) -> float:
    """Memory of the process that analyses: the largest child of ``process``. Linux only."""
    largest = 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except OSError:
            continue
        if int(fields["PPid"]) == process and "VmRSS" in fields:
            largest = max(largest, int(fields["VmRSS"].split()[0]) / 1024)
    return largest


def watch(process: subprocess.Popen, out: Path, memory: list[tuple[int, float]]) -> None:
    """Note the worker's memory beside how many cases are written, ten times a second."""
    while process.poll() is None:
        done = sum(1 for path in out.glob("case *"))
        if resident := resident_mib(process.pid):
            memory.append((done, resident))
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a new folder for scans and results")
    parser.add_argument("--model", help="instead of the shipped one")
    arguments = parser.parse_args()
    scans, out = arguments.folder / "scans", arguments.folder / "out"
    temporary = arguments.folder / "temporary"
    faulty = generate(scans)
    temporary.mkdir()
    command = [sys.executable, "-m", "lungscore", "analyze", str(scans), "-o", str(out)]
    command += ["--no-ranges", *(("--model", arguments.model) if arguments.model else ())]
    began, memory = time.monotonic(), list[tuple[int, float]]()
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(temporary)}
    )
    watcher = threading.Thread(target=watch, args=(process, out, memory))
    watcher.start()
    _, errors = process.communicate()
    watcher.join()
    figures = _figures(out, faulty, memory)
    figures["exit_code"], figures["traceback"] = process.returncode, "Traceback" in errors
    figures["temporary_files"] = len(list(temporary.iterdir())) + len(list(out.rglob(".tmp-*")))
    figures["seconds"] = round(time.monotonic() - began, 1)
    content = {
        "command": "python experiments/cohort_stress.py FOLDER"
        + (" --model STAND-IN" if arguments.model else ""),
        "lungscore": __version__,
        "figures": figures,
    }
    atomic_write(RESULT, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    shutil.rmtree(arguments.folder)


def _figures(out: Path, faulty: dict[str, str], memory: list[tuple[int, float]]) -> dict:
    with open(out / "cohort.csv", newline="", encoding="utf-8") as file:
        codes = {row["case"]: row["code"] for row in csv.DictReader(file)}
    kinds: dict[str, Counter[str]] = {}
    for case, fault in faulty.items():
        kinds.setdefault(fault, Counter())[codes[case] or "analysed"] += 1
    unlike = [c for c, fault in faulty.items() if codes[c] not in FAULTS[fault][1]]
    last = max(done for done, _ in memory)
    early = statistics.median(mib for done, mib in memory if EARLY <= done < EARLY + WINDOW)
    late = statistics.median(mib for done, mib in memory if last - WINDOW < done <= last)
    return {
        "cases": len(codes),
        "faulty": len(faulty),
        "kinds_of_fault": len(kinds),
        "analysed": sum(not code for code in codes.values()),
        "crashes": sum(code in ("internal", "out-of-memory") for code in codes.values()),
        "good_scans_that_failed": sorted(c for c in codes if codes[c] and c not in faulty),
        "faults_without_their_code": unlike,
        "codes_by_fault": {kind: dict(codes) for kind, codes in sorted(kinds.items())},
        "worker_mib_after_40": round(early, 1),
        "worker_mib_at_the_end": round(late, 1),
        "growth_percent": round(100 * (late / early - 1), 2),
    }


if __name__ == "__main__":
    main()
