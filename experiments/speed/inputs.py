"""What the benchmarks read: phantoms of 512 x 512 pixels as files, made once and kept."""

import tempfile
from pathlib import Path

from lungscore.scan.phantom import make_phantom
from lungscore.scan.write import write_dicom_series, write_nifti

#: Where phantoms are kept between runs.
CACHE = Path(tempfile.gettempdir()) / "lungscore-benchmarks"
SIDE = 512
FORMATS = ("dicom", "nifti")


def phantom(slices: int, form: str, cache: Path = CACHE, *, side: int = SIDE) -> Path:
    """The phantom (moderate, seed 0) of ``slices`` slices as ``form`` of FORMATS, made if need be.

    All phantoms show the same whole chest of 280 mm; more slices are thinner ones.
    """
    path = cache / f"phantom-{slices}x{side}{'' if form == 'dicom' else '.nii.gz'}"
    if not path.exists():
        scan = make_phantom("moderate", seed=0, shape=(slices, side, side)).scan
        cache.mkdir(parents=True, exist_ok=True)
        if form == "dicom":
            write_dicom_series(scan, path)
        else:
            write_nifti(scan, path)
    return path
