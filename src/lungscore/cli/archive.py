"""lungscore pull and push: a study from an archive, and objects to it."""

from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import say_json, summarise
from lungscore.cli.options import AsLine

Url = Annotated[
    str, typer.Argument(metavar="URL", help="DICOMweb service, as http://host:8042/dicom-web.")
]
Token = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="File with a bearer token for the service."),
]
LoginFile = Annotated[
    Path | None,
    typer.Option("--login-file", metavar="FILE", help="File with user:password for the service."),
]
Authorities = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Certificates (PEM) that vouch for the service."),
]


def pull(
    url: Url,
    study: Annotated[str, typer.Option(metavar="UID", help="StudyInstanceUID.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FOLDER", help="New folder for the images.")
    ],
    series: Annotated[
        str | None,
        typer.Option(metavar="UID", help="One series only (default: all CT series)."),
    ] = None,
    token_file: Token = None,
    login_file: LoginFile = None,
    authorities: Authorities = None,
    as_line: AsLine = False,
) -> None:
    """Fetch a study from a PACS that speaks DICOMweb, for analyze."""
    from lungscore.pacs.dicomweb import Archive, Login, pull

    archive = Archive(url, Login(token_file, login_file, authorities))
    count = pull(archive, study, out, series=series)
    if as_line:
        say_json({"folder": str(out), "images": count})
        return
    summarise(f"{count} images: {out}")


def push(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="OBJECTS...", help="DICOM files or folders of them, as results/<case>/dicom."
        ),
    ],
    url: Annotated[
        str,
        typer.Option(
            "--to", metavar="URL", help="DICOMweb service, as http://host:8042/dicom-web."
        ),
    ],
    token_file: Token = None,
    login_file: LoginFile = None,
    authorities: Authorities = None,
    as_line: AsLine = False,
) -> None:
    """Store DICOM objects in a PACS that speaks DICOMweb."""
    from lungscore.pacs.dicomweb import Archive, Login, push

    count = push(Archive(url, Login(token_file, login_file, authorities)), paths)
    if as_line:
        say_json({"objects": count})
        return
    summarise(f"{count} objects were stored and confirmed")
