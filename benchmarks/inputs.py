"""What the benchmarks read: phantoms of 512 x 512 pixels as files, made once and kept.

    python benchmarks/inputs.py FILE_OR_FOLDER

makes the one that ``phantom_path`` names; the benchmarks do that themselves.
"""

import re
import sys
import tempfile
from pathlib import Path

from processes import python, run_measured

#: Where phantoms are kept between runs.
CACHE = Path(tempfile.gettempdir()) / "lungscore-benchmarks"
SIDE = 512
FORMATS = ("dicom", "nifti")


def phantom_path(slices: int, form: str, cache: Path = CACHE, *, side: int = SIDE) -> Path:
    """Where the phantom (moderate, seed 0) of ``slices`` slices lies as ``form`` of FORMATS.

    All phantoms show the same whole chest of 280 mm; more slices are thinner ones.
    """
    return cache / f"phantom-{slices}x{side}{'' if form == 'dicom' else '.nii.gz'}"


def made(path: Path) -> Path:
    """``path`` of phantom_path, made if it is not there.

    In a process of its own: the parent's memory must not weigh on what is measured after.
    """
    if not path.exists():
        done = run_measured(python(Path(__file__), path))
        if done.code:
            sys.exit(done.stderr)
    return path


def make(path: Path) -> None:
    """Write the phantom that ``path`` of phantom_path names."""
    from lungscore.scan.phantom import make_phantom
    from lungscore.scan.write import write_dicom_series, write_nifti

    found = re.fullmatch(r"phantom-(\d+)x(\d+)(\.nii\.gz)?", path.name)
    if found is None:
        raise ValueError(f"{path.name} is no name of a phantom")
    slices, side = int(found[1]), int(found[2])
    scan = make_phantom("moderate", seed=0, shape=(slices, side, side)).scan
    path.parent.mkdir(parents=True, exist_ok=True)
    if found[3]:
        write_nifti(scan, path)
    else:
        write_dicom_series(scan, path)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
