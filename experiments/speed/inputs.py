"""What the benchmarks read: phantoms of 512 x 512 pixels as files, made once and kept; copies."""

import tempfile
from pathlib import Path

import pydicom

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


def as_another_patient(series: Path, out: Path, name: str) -> None:
    """Copy a DICOM series to ``out`` under UIDs and a patient's ID of its own.

    Links to the same files would not do: a cohort analyses a series once, wherever it lies.
    """
    out.mkdir(parents=True)
    for file in sorted(path for path in series.iterdir() if path.is_file()):
        dataset = pydicom.dcmread(file, force=True)
        dataset.PatientID = name
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            uid = pydicom.uid.generate_uid(entropy_srcs=[str(dataset.get(keyword)), name])
            setattr(dataset, keyword, uid)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(out / file.name)
