"""lungscore dicom: a result as DICOM objects."""

from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import note, say_json, summarise
from lungscore.cli.options import OBJECTS, AsLine, Overwrite, Regions, StatedEtiology


def dicom(
    result: Annotated[
        Path,
        typer.Argument(
            metavar="RESULT", help="A case folder written by analyze or score, or a saved review."
        ),
    ],
    source: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER", help="The DICOM series that was analysed: a folder, a file or a zip."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FOLDER",
            help="Write into a folder named after the case, and after the reader of a review, here "
            "(default: dicom/ in RESULT).",
        ),
    ] = None,
    regions: Regions = False,
    etiology: StatedEtiology = None,
    fhir: Annotated[
        bool,
        typer.Option(
            "--fhir",
            metavar="",
            help="Also write fhir.json: a FHIR DiagnosticReport that refers to the study.",
            rich_help_panel=OBJECTS,
        ),
    ] = False,
    verified_for: Annotated[
        str | None,
        typer.Option(
            metavar="ORGANISATION",
            help="Mark the report of a review as VERIFIED by its reader, for this organisation.",
            rich_help_panel=OBJECTS,
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_line: AsLine = False,
) -> None:
    """Write a result as DICOM objects that a PACS and any viewer take.

    Segmentations, a structured report (TID 1500), key images and the report as PDF. Patient and
    study are those of the source.
    """
    from lungscore.pacs.write import ObjectSettings, folder_name, write_objects
    from lungscore.report.case_folder import DICOM
    from lungscore.result.stored import RESULT

    case = result.parent if result.name == RESULT else result
    folder = case / DICOM if out is None else out / folder_name(case)
    stated = etiology.value if etiology else None
    settings = ObjectSettings(regions, stated, fhir, verified_for)
    written = write_objects(case, source, folder, settings=settings, overwrite=overwrite)
    for fault in written.faults:
        note(f"The source itself violates DICOM: {fault}.")
    if as_line:
        say_json(
            {
                "folder": str(written.folder),
                "files": list(written.files),
                "source_faults": list(written.faults),
            }
        )
        return
    summarise(f"{len(written.files)} files: {written.folder}")
    for file in written.files:
        summarise(f"  {file}")
