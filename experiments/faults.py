"""Faults of inputs, each made by code and given to lungscore: how does each end?

    python experiments/faults.py [--page docs/errors.md]

writes experiments/results/faults.json. Every fault starts from one small generated chest as DICOM,
NIfTI, PNG or zip, and is read as ``lungscore analyze`` reads it. An input ends as a result, as a
result with notices, or as a rejection with a code; whatever else happens is counted as such.
--page writes the counts into the table between the two marks of that page.
"""

import argparse
import gzip
import json
import re
import shutil
import struct
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from PIL import Image
from pydicom.uid import RLELossless

from lungscore.errors import LungscoreError
from lungscore.files import atomic_write
from lungscore.scan.phantom import make_phantom
from lungscore.scan.read import read_scan
from lungscore.scan.write import write_dicom_series
from lungscore.version import __version__

RESULT = Path(__file__).parent / "results" / "faults.json"
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"

SHAPE, SPACING = (24, 64, 64), (11.0, 4.5, 4.5)

#: What every notice of these small phantoms says; not a consequence of a fault.
USUAL = {"thick-slices", "coarse-pixels"}

Fault = Callable[[Path], Path]


def phantom() -> np.ndarray:
    """(24, 64, 64) int16 HU."""
    return make_phantom("moderate", seed=3, shape=SHAPE, spacing_mm=SPACING).scan.values


def series(folder: Path) -> list[Path]:
    """The slices of the chest, superior first."""
    scan = make_phantom("moderate", seed=3, shape=SHAPE, spacing_mm=SPACING).scan
    write_dicom_series(scan, folder / "series")
    return sorted((folder / "series").iterdir())


def all_slices(**values: object) -> Fault:
    """Every slice with other elements; None takes one out."""

    def make(folder: Path) -> Path:
        for path in series(folder):
            edit(path, **values)
        return folder / "series"

    return make


def some_slices(numbers: slice, **values: object) -> Fault:
    """Some slices with other elements."""

    def make(folder: Path) -> Path:
        for path in series(folder)[numbers]:
            edit(path, **values)
        return folder / "series"

    return make


def edit(path: Path, **values: object) -> None:
    """Change elements of a slice."""
    dataset = pydicom.dcmread(path)
    for keyword, value in values.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)


def in_bytes(change: Callable[[bytes], bytes], number: int = 5) -> Fault:
    """One slice whose bytes are changed."""

    def make(folder: Path) -> Path:
        path = series(folder)[number]
        path.write_bytes(change(path.read_bytes()))
        return folder / "series"

    return make


def files(change: Callable[[list[Path], Path], None]) -> Fault:
    """A series whose files are changed, beside an empty folder."""

    def make(folder: Path) -> Path:
        change(series(folder), folder / "series")
        return folder / "series"

    return make


def volume(change: Callable[[np.ndarray], np.ndarray] = lambda values: values,
           affine: np.ndarray | None = None, head: Callable[[bytes], bytes] = lambda data: data,
           packed: bool = False) -> Fault:  # fmt: skip
    """A NIfTI file."""

    def make(folder: Path) -> Path:
        placed = np.diag([-4.5, -4.5, 11.0, 1.0]) if affine is None else affine
        image = nib.Nifti1Image(change(phantom().transpose(2, 1, 0)[..., ::-1]), placed)
        content = head(image.to_bytes())
        path = folder / ("scan.nii.gz" if packed else "scan.nii")
        path.write_bytes(gzip.compress(content, 1) if packed else content)
        return path

    return make


def archive(members: Callable[[list[Path]], dict[str, bytes]]) -> Fault:
    """A zip file."""

    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "scan.zip", "w", zipfile.ZIP_DEFLATED) as target:
            for name, content in members(series(folder)).items():
                target.writestr(name, content)
        return folder / "scan.zip"

    return make


def pictures(change: Callable[[int, np.ndarray], np.ndarray | None]) -> Fault:
    """A folder of PNG slices; a slice that becomes None is left out."""

    def make(folder: Path) -> Path:
        (folder / "slices").mkdir()
        grey = ((phantom().astype(float) + 1350) / 1500 * 255).clip(0, 255).astype(np.uint8)
        for number, plane in enumerate(grey):
            changed = change(number, plane)
            if changed is not None:
                Image.fromarray(changed).save(folder / "slices" / f"{number}.png")
        return folder / "slices"

    return make


def deep(folder: Path) -> Path:
    """A zip of 400 folders in each other."""
    return archive(lambda paths: {"d/" * 400 + "f": paths[0].read_bytes()})(folder)


def no_input(content: bytes | None) -> Fault:
    """A file of this content, or none."""

    def make(folder: Path) -> Path:
        if content is not None:
            (folder / "file").write_bytes(content)
        return folder / "file"

    return make


def compressed(cut: bool) -> Fault:
    """RLE, whole or with one slice cut off."""

    def change(paths: list[Path], _: Path) -> None:
        for path in paths:
            dataset = pydicom.dcmread(path)
            dataset.compress(RLELossless, generate_instance_uid=False)
            dataset.save_as(path)
        if cut:
            paths[4].write_bytes(paths[4].read_bytes()[:-200])

    return files(change)


def member(paths: list[Path]) -> dict[str, bytes]:
    """All slices by their names."""
    return {path.name: path.read_bytes() for path in paths}


def forged(data: bytes, offset: int, layout: str, *values: float) -> bytes:
    """``data`` with other numbers at ``offset``."""
    packed = struct.pack(layout, *values)
    return data[:offset] + packed + data[offset + len(packed) :]


#: fault -> how it is made. Names begin with what the input is.
FAULTS: dict[str, Fault] = {
    "nothing there": no_input(None),
    "empty file": no_input(b""),
    "text": no_input(b"not a scan\n" * 50),
    "random bytes behind the DICOM magic": no_input(bytes(128) + b"DICM" + bytes(range(256))),
    "executable with a DICOM body": in_bytes(lambda data: b"MZ" + data[2:], 0),
    "DICOM: a header cut off": in_bytes(lambda data: data[:400]),
    "DICOM: pixels cut off": in_bytes(lambda data: data[:-100]),
    "DICOM: length beyond the file": in_bytes(
        lambda data: data[:140] + b"\x02\0\x10\0OB\0\0\xff\xff\xff\xff" + data[140:]
    ),
    "DICOM: nesting without end": in_bytes(
        lambda data: (
            data + b"\x40\0\x75\x02SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff" * 5000
        )
    ),
    "DICOM: no preamble": in_bytes(lambda data: data[132:]),
    "DICOM: a slice missing": files(lambda paths, _: paths[9].unlink()),
    "DICOM: half of the slices missing": files(lambda paths, _: [p.unlink() for p in paths[::2]]),
    "DICOM: every third slice missing, unevenly": files(
        lambda paths, _: [p.unlink() for p in paths[1::3]]
    ),
    "DICOM: one slice": files(lambda paths, _: [p.unlink() for p in paths[1:]]),
    "DICOM: two slices": files(lambda paths, _: [p.unlink() for p in paths[2:]]),
    "DICOM: a slice copied": files(lambda paths, at: shutil.copy(paths[3], at / "copy")),
    "DICOM: other files beside": files(lambda _, at: (at / "Thumbs.db").write_bytes(b"x" * 99)),
    "DICOM: a slice of another size": files(
        lambda paths, _: edit(paths[3], Rows=32, PixelData=bytes(2 * 32 * 64))
    ),
    "DICOM: a slice of another direction": some_slices(
        slice(3, 4), ImageOrientationPatient=[1, 0, 0, 0, 0, -1]
    ),
    "DICOM: a slice moved by 3 mm": some_slices(
        slice(3, 4), ImagePositionPatient=[-141.75, -141.75, 83.0]
    ),
    "DICOM: two patients": some_slices(
        slice(0, 12), PatientID="B", StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.4"
    ),
    "DICOM: MR": all_slices(Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4"),
    "DICOM: scouts alone": all_slices(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    "DICOM: image type that is a number": files(
        lambda paths, _: [_retag(p, 0x00080008, "US", 7) for p in paths]
    ),
    "DICOM: infinite number of rows": files(
        lambda paths, _: _retag(paths[2], 0x00280010, "FD", float("inf"))
    ),
    "DICOM: 65535 rows and columns": all_slices(Rows=65535, Columns=65535),
    "DICOM: no pixel spacing": all_slices(PixelSpacing=None),
    "DICOM: pixel spacing of 60 mm": all_slices(PixelSpacing=[60, 60]),
    "DICOM: no positions": all_slices(ImagePositionPatient=None),
    "DICOM: skewed directions": all_slices(ImageOrientationPatient=[1, 0, 0, 0.5, 0.5, 0]),
    "DICOM: slope of zero": all_slices(RescaleSlope=0),
    "DICOM: intercept beyond all numbers": files(
        lambda paths, _: [_retag(p, 0x00281052, "FD", 1e39) for p in paths]
    ),
    "DICOM: no slope and intercept": all_slices(RescaleSlope=None, RescaleIntercept=None),
    "DICOM: signed values read as unsigned": all_slices(
        RescaleIntercept=0, PixelData=(phantom()[0].astype("<i2") * 4 - 3000).tobytes()
    ),
    "DICOM: constant pixels": all_slices(PixelData=bytes(2 * 64 * 64)),
    "DICOM: MONOCHROME1": all_slices(PhotometricInterpretation="MONOCHROME1"),
    "DICOM: unknown transfer syntax": in_bytes(
        lambda data: data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0", 1)
    ),
    "DICOM: RLE": compressed(cut=False),
    "DICOM: RLE with a slice cut off": compressed(cut=True),
    "DICOM: text in place of the series UID": all_slices(SeriesInstanceUID="DOE^JANE"),
    "DICOM: contrast": all_slices(ContrastBolusAgent="agent"),
    "DICOM: lossy": all_slices(LossyImageCompression="01"),
    "NIfTI: whole": volume(),
    "NIfTI: whole, packed": volume(packed=True),
    "NIfTI: cut off": volume(head=lambda data: data[:-5000]),
    "NIfTI: 30 000 voxels each way": volume(
        head=lambda data: forged(data, 42, "<3h", *[30000] * 3)
    ),
    "NIfTI: negative axis": volume(head=lambda data: forged(data, 42, "<h", -5)),
    "NIfTI: voxels begin gigabytes on": volume(head=lambda data: forged(data, 108, "<f", 2.0**31)),
    "NIfTI: slope that is not a number": volume(head=lambda data: forged(data, 112, "<f", np.nan)),
    "NIfTI: NaN in the affine": volume(head=lambda data: forged(data, 280, "<f", np.nan)),
    "NIfTI: singular affine": volume(head=lambda data: forged(data, 280, "<4f", 0, 0, 0, 0)),
    "NIfTI: metres": volume(affine=np.diag([-0.0045, -0.0045, 0.011, 1.0])),
    "NIfTI: sheared slices": volume(
        affine=np.array([[-4.5, 0, 0, 0], [0, -4.5, 3, 0], [0, 0, 11, 0], [0, 0, 0, 1.0]])
    ),
    "NIfTI: four volumes": volume(lambda values: np.stack([values] * 4, -1)),
    "NIfTI: one slice": volume(lambda values: values[..., 12:13]),
    "NIfTI: normalised to 0–1": volume(lambda v: ((v + 1024) / 4096).astype(np.float32)),
    "NIfTI: a mask": volume(lambda values: (values < -500).astype(np.uint8)),
    "NIfTI: 8 bit": volume(lambda values: ((values + 1350) / 6).clip(0, 255).astype(np.uint8)),
    "NIfTI: NaN within the body": volume(
        lambda v: np.where((v > 0) & (v < 40), np.nan, v).astype(np.float32)
    ),
    "NIfTI: constant": volume(lambda values: values * 0),
    "zip: whole": archive(member),
    "zip: names that lead out": archive(lambda paths: {"../../x": paths[0].read_bytes()}),
    "zip: an archive inside": archive(lambda paths: {"x.zip": b"PK\3\4" + bytes(99)}),
    "zip: a bomb": archive(lambda paths: {"zeros": bytes(2**24)}),
    "zip: 400 folders in each other": deep,
    "zip: empty": archive(lambda paths: {}),
    "PNG: whole": pictures(lambda number, plane: plane),
    "PNG: a slice of another size": pictures(lambda n, plane: plane[:-8] if n == 5 else plane),
    "PNG: colours": pictures(
        lambda n, plane: np.stack([plane, 255 - plane, plane // 2], -1) if n == 5 else plane
    ),
    "PNG: 12 bit in 16": pictures(lambda number, plane: plane.astype(np.uint16) * 16),
    "PNG: one slice": pictures(lambda number, plane: plane if number == 12 else None),
}


def _retag(path: Path, tag: int, representation: str, value: object) -> None:
    dataset = pydicom.dcmread(path)
    dataset[tag] = pydicom.DataElement(tag, representation, value)
    dataset.save_as(path)


def outcome(fault: Fault) -> tuple[str, list[str]]:
    """How an input ends ("result" or a code), and the codes of its notices."""
    with tempfile.TemporaryDirectory() as name:
        path = fault(Path(name))
        try:
            scan = read_scan(path)
        except LungscoreError as error:
            return error.code, []
        except Exception as error:
            return f"crash: {type(error).__name__}", []
        return "result", sorted({notice.code for notice in scan.notices} - USUAL)


def table(ends: dict[str, dict]) -> str:
    """The counts, as a table in Markdown."""
    kinds = Counter(end["outcome"] for end in ends.values() if end["outcome"] != "result")
    noted = sum(bool(end["notices"]) for end in ends.values())
    plain = sum(end["outcome"] == "result" and not end["notices"] for end in ends.values())
    rows = [("a result", plain), ("a result with notices", noted)]
    rows += [(f"rejected: `{code}`", count) for code, count in sorted(kinds.items())]
    lines = ["| outcome | faults |", "|---|---|", *(f"| {name} | {n} |" for name, n in rows)]
    return "\n".join([*lines, f"| all | {len(ends)} |"])


def write_page(page: Path, ends: dict[str, dict]) -> None:
    """Put the table between the marks of ``page``."""
    text = page.read_text(encoding="utf-8")
    block = f"{BEGIN}\n{table(ends)}\n{END}"
    written = re.sub(f"{BEGIN}.*?{END}", lambda _: block, text, flags=re.DOTALL)
    atomic_write(page, written)


def main() -> None:
    """Argument handling."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", type=Path, help="page whose table is written")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    ends = {}
    for name, fault in FAULTS.items():
        code, notices = outcome(fault)
        ends[name] = {"outcome": code, "notices": notices}
        print(name, "→", code, *notices)
    content = {
        "command": "python experiments/faults.py",
        "version": __version__,
        "faults": len(ends),
        "counts": dict(Counter(end["outcome"] for end in ends.values()).most_common()),
        "ends": ends,
    }
    atomic_write(options.out, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    if options.page:
        write_page(options.page, ends)


if __name__ == "__main__":
    main()
