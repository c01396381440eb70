"""lungscore review: look at results in the browser, correct them, score them again, accept them."""

import secrets
from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import detail, note, say, summarise
from lungscore.cli.options import Overwrite

READERS, SERVER, AFTERWARDS = "Readers", "Server", "Instead of a browser"


def review(
    results: Annotated[
        Path,
        typer.Argument(metavar="RESULTS", help="Folder written by analyze or score."),
    ],
    scans: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER|FILE",
            help="Where the scans are: a folder, a scan or a manifest; may be repeated.",
        ),
    ] = None,
    reader: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Who reads (default: asked for).", rich_help_panel=READERS
        ),
    ] = None,
    reading_list: Annotated[
        Path | None,
        typer.Option(
            "--list",
            metavar="FILE",
            help="Reading list: CSV with the columns case and reader, in the order of reading.",
            rich_help_panel=READERS,
        ),
    ] = None,
    blinded: Annotated[
        bool,
        typer.Option(
            "--blinded",
            metavar="",
            help="Show neither category and numbers nor the work of other readers.",
            rich_help_panel=READERS,
        ),
    ] = False,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on; any but this computer's own needs the printed token.",
            rich_help_panel=SERVER,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(metavar="N", help="Port; 0 takes one that is free.", rich_help_panel=SERVER),
    ] = 8137,
    name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name by which browsers reach the server, with the port of a proxy unless that is "
            "443; may be repeated.",
            rich_help_panel=SERVER,
        ),
    ] = None,
    token: Annotated[
        bool,
        typer.Option(
            "--token",
            metavar="",
            help="Require the printed token on this computer, too (for shared computers).",
            rich_help_panel=SERVER,
        ),
    ] = False,
    no_browser: Annotated[
        bool,
        typer.Option(
            "--no-browser", metavar="", help="Do not open a browser.", rich_help_panel=SERVER
        ),
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write accepted and corrected cases as training data.",
            rich_help_panel=AFTERWARDS,
        ),
    ] = None,
    ratings: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write a table of each reader's numbers, for lungscore agree.",
            rich_help_panel=AFTERWARDS,
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Review results in the browser: look, correct, score again, accept.

    What a reader saves is in CASE/reviews/READER; the results themselves are never changed.
    """
    from lungscore.errors import UsageError
    from lungscore.review.opened_case import ScanFinder
    from lungscore.review.work_list import listed_cases, read_reading_list

    cases = listed_cases(results)
    find = ScanFinder(scans or [], results)
    if export is not None or ratings is not None:
        from lungscore.review.export import described, export_reviews
        from lungscore.review.readings import write_ratings

        if ratings is not None:
            for path in write_ratings(cases, ratings, overwrite=overwrite):
                summarise(f"Ratings: {path}")
        if export is not None:
            exported = export_reviews(cases, find, export, reader=reader, overwrite=overwrite)
            for line in described(exported):
                summarise(line)
            summarise(f"Manifest: {export / 'manifest.csv'}")
        return
    from lungscore.batch.table import refresh_page
    from lungscore.review.server.desk import Desk, DeskSettings
    from lungscore.review.server.run import LOOPBACK, ServerSettings, serve

    if host in ("0.0.0.0", "::") and not name:  # noqa: S104 - it is refused
        raise UsageError(
            "usage",
            f"--host {host} does not say what browsers call this computer",
            hint="Add --name with that name or address",
        )
    secret = secrets.token_urlsafe(32) if token or name or host not in LOOPBACK else None
    known = read_reading_list(reading_list) if reading_list else None
    settings = DeskSettings(reader, blinded, known) if known else DeskSettings(reader, blinded)

    def ready(address: str) -> None:
        say(address)
        note("Press Ctrl-C to stop; nothing is lost.")
        if not no_browser:
            import webbrowser
            from threading import Thread

            # Some browsers, and those of terminals, return when they are closed.
            Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    detail(f"{len(cases)} cases")
    desk = Desk(cases, find, settings)
    try:
        serve(desk, ServerSettings(host, port, tuple(name or ()), secret), ready)
    finally:
        if refresh_page(results):
            note("cohort.html shows what was reviewed.")
