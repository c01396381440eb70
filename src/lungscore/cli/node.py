"""lungscore node: from a PACS and back, for as long as it runs."""

import time
from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import note, say, say_json, summarise
from lungscore.cli.options import AsLine
from lungscore.errors import UsageError

app = typer.Typer(
    help="Run between a PACS and its users: receive studies, analyse them, return the results. "
    "See docs/pacs.md.",
)

Config = Annotated[
    Path, typer.Option("--config", metavar="FILE", help="Settings of the node (YAML).")
]
Studies = Annotated[
    list[str] | None,
    typer.Argument(metavar="STUDY...", help="Names of studies, as status lists them."),
]


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Settings of the node (YAML)."),
    ] = None,
    watch: Annotated[
        Path | None,
        typer.Option(
            "--watch", metavar="FOLDER", help="Also take studies that are put into this folder."
        ),
    ] = None,
) -> None:
    """Run the node until it is stopped; it may be killed at any moment."""
    if context.invoked_subcommand is not None:
        return
    if config is None:
        raise UsageError("usage", "The node needs its settings", expected="--config node.yaml")
    import threading

    from lungscore.node.config import read_config
    from lungscore.node.node import run_node

    run_node(read_config(config, watch=watch), threading.Event(), tell=note)


@app.command("status")
def status(config: Config, as_line: AsLine = False) -> None:
    """List the studies of a node, whether it runs or not."""
    from lungscore.node.desk import overview

    counts, rows = overview(config)
    if as_line:
        say_json({"studies": counts, "list": [row._asdict() for row in rows]})
        return
    say("  ".join(f"{name}: {number}" for name, number in counts.items()))
    for row in rows:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row.changed))
        code = f"  {row.code}" if row.code else ""
        say(f"{row.study}  {row.state:8}  {row.images:5} images  {moment}{code}")


@app.command("retry")
def retry(
    config: Config,
    studies: Studies = None,
    everything: Annotated[
        bool, typer.Option("--all", metavar="", help="Retry every study that failed.")
    ] = False,
) -> None:
    """Try studies again that failed, or that wait for their next attempt."""
    from lungscore.node.desk import retry_studies

    if everything == bool(studies):
        raise UsageError("usage", "Nothing to retry", expected="names of studies, or --all")
    for study in (tried := retry_studies(config, studies)):
        note(study)
    summarise(f"{len(tried)} studies are tried again")


@app.command("purge")
def purge(
    config: Config,
    days: Annotated[
        float,
        typer.Option(
            min=0, metavar="N", help="Remove what ended more than N days ago (0: all that ended)."
        ),
    ],
) -> None:
    """Remove studies that were sent or failed (images, results, state), and refused files."""
    from lungscore.node.desk import purge_studies

    for study in (removed := purge_studies(config, days)):
        note(study)
    summarise(f"{len(removed)} studies were removed")
