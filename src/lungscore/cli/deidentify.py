"""lungscore deidentify: images without their patients."""

from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import complain, describe, note, say_json, summarise
from lungscore.cli.options import AsLine

KEEPING = "What stays"


def deidentify(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="DICOM images: a folder, a file or a zip.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="New folder.")],
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Key that new names and UIDs are derived from; created if the file does not "
            "exist. The same key keeps follow-ups together (default: random, then discarded).",
        ),
    ] = None,
    retain_dates: Annotated[
        bool,
        typer.Option(
            "--retain-dates",
            metavar="",
            help="Keep times, and dates shifted by the same number of days for all images of a "
            "patient.",
            rich_help_panel=KEEPING,
        ),
    ] = False,
    retain_device: Annotated[
        bool,
        typer.Option(
            "--retain-device",
            metavar="",
            help="Keep manufacturer, model, serial number, software, station and kernel.",
            rich_help_panel=KEEPING,
        ),
    ] = False,
    retain_characteristics: Annotated[
        bool,
        typer.Option(
            "--retain-characteristics",
            metavar="",
            help="Keep sex, age (90 and above as 90), size and weight.",
            rich_help_panel=KEEPING,
        ),
    ] = False,
    allow_burned_in: Annotated[
        bool,
        typer.Option(
            "--allow-burned-in",
            metavar="",
            help="Accept images marked as having burned-in annotation; check them first.",
            rich_help_panel=KEEPING,
        ),
    ] = False,
    allow_captures: Annotated[
        bool,
        typer.Option(
            "--allow-captures",
            metavar="",
            help="Accept secondary captures; check them first.",
            rich_help_panel=KEEPING,
        ),
    ] = False,
    as_line: AsLine = False,
) -> None:
    """Write images without anything that identifies the patient (DICOM PS3.15, basic profile)."""
    from lungscore.deidentification.folder import TABLE
    from lungscore.deidentification.folder import deidentify as write
    from lungscore.deidentification.identity import random_key, read_key
    from lungscore.deidentification.rules import Options

    options = Options(
        retain_dates, retain_device, retain_characteristics, allow_burned_in, allow_captures
    )
    done = write(source, out, random_key() if key is None else read_key(key), options)
    for error in done.refused:
        complain(describe(error))
    if as_line:
        say_json(
            {
                "folder": str(out),
                "images": done.images,
                "patients": len(done.patients),
                "studies": len(done.studies),
                "refused": [{"code": e.code, "message": e.message} for e in done.refused],
            }
        )
    else:
        summarise(f"{done.images} images of {len(done.patients)} patients: {out}")
        note(f"What was done to each attribute: {out / TABLE}")
    if done.refused:
        raise typer.Exit(done.refused[0].exit_code)
