"""OUT/<case>/: written whole or not at all."""

import io
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

from PIL import Image

from lungscore.files import atomic_write
from lungscore.labels import MASK_LABELS, Label
from lungscore.report.case_folder import appearing, refuse_existing
from lungscore.report.curve import infection_curve
from lungscore.report.page import render_page
from lungscore.report.pdf import pdf_bytes
from lungscore.report.pictures import montage, overview_pictures, slice_pictures
from lungscore.report.run_record import run_record
from lungscore.report.settings import DEFAULT, ReportSettings
from lungscore.result import Analysis, to_result
from lungscore.result.stored import IDENTIFIERS
from lungscore.scan.write import nifti_bytes


def write_outputs(
    analysis: Analysis,
    out_dir: Path,
    *,
    overwrite: bool = False,
    settings: ReportSettings = DEFAULT,
) -> Path:
    """Write one case into ``out_dir``/<case>/ and return that folder.

    The folder appears when all of it is written; on any failure ``out_dir`` is as it was. Raises
    UsageError ``output-exists``, ResourceError ``disk-full`` or ``output-not-writable``.
    """
    started = time.perf_counter()
    folder = refuse_existing(out_dir, analysis.scan.name, overwrite=overwrite)
    with appearing(folder, overwrite=overwrite) as staging:
        write_files(analysis, staging, settings, started=started)
    return folder


def write_files(
    analysis: Analysis, folder: Path, settings: ReportSettings, *, started: float
) -> None:
    """Write everything of a case into ``folder``, which is there.

    started: when writing began, by time.perf_counter.
    """
    # Compression releases the interpreter's lock: the masks cost no time beside the figures.
    with ThreadPoolExecutor(max_workers=1) as pool:
        masks = pool.submit(_write_masks, analysis, folder)
        if settings.size != "none":
            _write_report(analysis, folder, settings)
        masks.result()
    atomic_write(folder / "result.json", to_result(analysis).to_json())
    record = run_record(analysis, write_seconds=time.perf_counter() - started)
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    atomic_write(folder / "run.json", text)
    identifiers = analysis.scan.identifiers
    if settings.identifiers and identifiers is not None:
        text = json.dumps(asdict(identifiers), indent=1, ensure_ascii=False) + "\n"
        atomic_write(folder / IDENTIFIERS, text)


def _write_masks(analysis: Analysis, folder: Path) -> None:
    masks = {
        "lungs": analysis.lungs.labels,
        "lobes": analysis.lobes,
        "regions": analysis.regions,
        "lesions": analysis.lesions.labels,
    }
    for name, labels in masks.items():
        if labels is not None:
            path = folder / f"{name}.nii.gz"
            atomic_write(path, nifti_bytes(labels, analysis.scan.geometry, _names(analysis, name)))


def _names(analysis: Analysis, mask: str) -> tuple[Label, ...]:
    """What the values of a mask are called; where the sides are unknown, 1 is any lung."""
    if mask == "lungs" and not analysis.scan.sides_known:
        return (MASK_LABELS[mask][0]._replace(name="lung", title="Lung"),)
    return MASK_LABELS[mask]


def _write_report(analysis: Analysis, folder: Path, settings: ReportSettings) -> None:
    slices, overview = slice_pictures(analysis), overview_pictures(analysis)
    curve = infection_curve(analysis.severity)
    figures = folder / "figures"
    if slices:
        atomic_write(figures / "slices.png", png_bytes(montage(slices)))
    for picture in overview:
        atomic_write(figures / f"{picture.name}.png", png_bytes(picture.merged()))
    if curve is not None:
        atomic_write(figures / "infection_by_slice.png", curve)

    def page(settings: ReportSettings) -> str:
        today = date.today().isoformat()
        return render_page(
            analysis, slices=slices, overview=overview, settings=settings, analysed_on=today
        )

    atomic_write(folder / "report.html", page(settings))
    if settings.pdf:
        # On paper nothing scrolls: without every slice, which would only cost time.
        atomic_write(folder / "report.pdf", pdf_bytes(page(replace(settings, size="small"))))


def png_bytes(image: Image.Image) -> bytes:
    """A PNG, quickly made."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
