"""lungscore models: the shipped bundles, and bundles from one's own training."""

from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import say, say_json
from lungscore.errors import ResourceError

app = typer.Typer(no_args_is_help=True, help="List, verify or make model bundles.")


@app.command("list")
def list_models(
    as_line: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """List the models with their data, terms and measured figures."""
    from lungscore.inference import list_bundles, load_bundle

    cards = [load_bundle(name).card for name in list_bundles()]
    if as_line:
        say_json([card.model_dump(mode="json") for card in cards])
        return
    for card in cards:
        say(f"{card.name} {card.version}: {card.description}")
        say(f"  data: {'; '.join(card.data)}\n  terms: {card.data_terms}")
        for metric in card.metrics:
            say(f"  {metric['name']}: {metric['text']}")


@app.command("verify")
def verify() -> None:
    """Check every file of every model against its card."""
    from lungscore.inference import list_bundles, load_bundle

    names = list_bundles()
    if not names:
        raise ResourceError(
            "model-missing", "no model came with this installation", hint="install lungscore again"
        )
    for name in names:
        say(f"{load_bundle(name).card.name}: verified")


@app.command("export")
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished training.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the new bundle.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the model; infection or lesions by default.")
    ] = None,
    version: Annotated[str, typer.Option(help="Its version.")] = "1",
    facts: Annotated[
        Path | None, typer.Option(help="YAML with what the card says about data and figures.")
    ] = None,
) -> None:
    """Make a bundle from a training for infection, or for GGO and consolidation."""
    from lungscore.learning.card import make_bundle

    say(f"wrote {make_bundle(run, out, name=name, version=version, facts=facts).folder.name}")
