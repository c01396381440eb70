"""Time and memory of preparing a dataset as large as CC-CCII.

    python experiments/prepare_large.py FOLDER

Generates in FOLDER (it needs 3 GB, and leaves them) a tree of 2,000 slices of 512 x 512 as JPEG,
and one laid out like CC-CCII: 617,775 slices of 4154 patients and 750 slices with masks, all
different, as tiny PNG files. Each is prepared by `lungscore data prepare` in a process of its own,
whose time and largest memory are written to results/prepare-large.json.
"""

import io
import json
import platform
import resource
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lungscore.datasets.cc_ccii import PUBLISHED
from lungscore.files import atomic_write
from lungscore.machine import available_threads, cpu_model
from lungscore.version import __version__

OUT = Path(__file__).parent / "results" / "prepare-large.json"
CLASSES = ("NCP", "CP", "Normal")
LARGE_SLICES, SIZE = 2000, 512


def tiny_png(number: int) -> bytes:
    """A PNG of 8 x 8 pixels that no other number gives."""
    first = struct.pack(">Q", number)
    rows = b"".join(b"\0" + (first if row == 0 else bytes([row * 20] * 8)) for row in range(8))
    return _png(rows)


def _png(rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


#: A mask of 8 x 8 pixels that holds background, lung, GGO and consolidation.
MASK = _png(b"".join(b"\0" + bytes([row % 4] * 8) for row in range(8)))


def scans(patients: int, slices: int) -> Iterator[tuple[str, int, int, int]]:
    """(class, patient, scan, slices) of one scan a patient, ``slices`` in all."""
    for patient in range(patients):
        count = slices // patients + (patient < slices % patients)
        yield CLASSES[patient % 3], patient + 1, patient + 1001, count


def make_tree(root: Path) -> None:
    """All of it."""
    number, table = 0, ["zip_file,label,patient_id,scan_id,n_slice"]
    for label, patient, scan, count in scans(PUBLISHED["patients"], PUBLISHED["slices"]):
        folder = root / label / str(patient) / str(scan)
        folder.mkdir(parents=True)
        table.append(f"{label}-{patient % 30}.zip,{label},{patient},{scan},{count}")
        for index in range(count):
            (folder / f"{index:04d}.png").write_bytes(tiny_png(number))
            number += 1
    slices_per_case = PUBLISHED["slices with masks"] // PUBLISHED["masked cases"]
    for case in range(PUBLISHED["masked cases"]):
        for kind in ("image", "mask"):
            (root / "ct_lesion_seg" / kind / str(case)).mkdir(parents=True)
        for index in range(slices_per_case):
            path = f"{case}/{index}.png"
            (root / "ct_lesion_seg/image" / path).write_bytes(tiny_png(number))
            (root / "ct_lesion_seg/mask" / path).write_bytes(MASK)
            number += 1
    (root / "unzip_filenames.csv").write_text("\n".join(table) + "\n")
    (root / "lesions_slices.csv").write_text("imgpath\nNCP/1/1001/0000.png\n")


def make_large_slices(root: Path) -> None:
    """LARGE_SLICES smooth noisy pictures, about as large as slices of CC-CCII are."""
    rng = np.random.default_rng(0)
    rows = ["zip_file,label,patient_id,scan_id,n_slice"]
    for label, patient, scan, count in scans(LARGE_SLICES // 100, LARGE_SLICES):
        folder = root / label / str(patient) / str(scan)
        folder.mkdir(parents=True)
        rows.append(f"a.zip,{label},{patient},{scan},{count}")
        for index in range(count):
            coarse = Image.fromarray(rng.integers(0, 255, (64, 64), np.uint8)).resize((SIZE, SIZE))
            with io.BytesIO() as file:
                coarse.save(file, "JPEG", quality=90)
                (folder / f"{index:04d}.jpg").write_bytes(file.getvalue())
    (root / "unzip_filenames.csv").write_text("\n".join(rows) + "\n")
    (root / "lesions_slices.csv").write_text("imgpath\nNCP/1/1001/0000.jpg\n")


def prepare(root: Path, *options: str) -> dict[str, Any]:
    """What preparing the tree at ``root`` costs. Ends the script where it fails."""
    manifest = root.parent / f"{root.name}.parquet"
    arguments = ["data", "prepare", "cc-ccii", str(root), "-o", str(manifest), "--overwrite"]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "lungscore", *arguments, *options],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    print(done.stdout[-600:], done.stderr[-300:], f"{seconds:.0f} s", flush=True)
    if done.returncode:
        sys.exit(done.returncode)
    import pyarrow.parquet

    rows = pyarrow.parquet.read_metadata(manifest).num_rows
    # Of all children so far; the larger tree comes last.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {
        "rows": rows,
        "seconds": round(seconds, 1),
        "seconds_per_10000": round(seconds / rows * 10_000, 2),
        "peak_memory_mib": round(peak, 1),
        "manifest_mib": round(manifest.stat().st_size / 2**20, 1),
    }


def main(folder: Path) -> None:
    """Generate, prepare, write."""
    told = {
        "command": "python experiments/prepare_large.py FOLDER",
        "lungscore": __version__,
        "machine": {
            "cpu": cpu_model(),
            "threads": available_threads(),
            "python": platform.python_version(),
        },
    }
    for name, make, options in (
        ("slices_of_512", make_large_slices, ("--partial",)),
        ("whole", make_tree, ()),
    ):
        root = folder / name
        if not root.exists():
            make(root)
        print(f"{name} is there", flush=True)
        told[name] = prepare(root, *options)
    atomic_write(OUT, json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python experiments/prepare_large.py FOLDER")
    main(Path(sys.argv[1]))
