"""lungscore models: the shipped bundles, and bundles from one's own training."""

from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import say, say_json
from lungscore.cli.options import AsLine
from lungscore.errors import ResourceError, UsageError

app = typer.Typer(
    no_args_is_help=True, help="List and verify the installed models, or export a training as one."
)


@app.command("list")
def list_models(
    as_line: AsLine = False,
) -> None:
    """List the installed models with their training data, terms and measured accuracy."""
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
    """Check the checksums of every model file."""
    from lungscore.inference import list_bundles, load_bundle

    names = list_bundles()
    if not names:
        raise ResourceError("model-missing", "No model is installed", hint="Reinstall lungscore")
    for name in names:
        say(f"{load_bundle(name).card.name}: verified")


@app.command("export")
def export(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|MODEL",
            help="Folder of a finished training run; with --monai a model's name or folder.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FOLDER", help="Folder of the new model.")
    ],
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Model name (default: infection or lesions; the experiment's name if it was "
            "trained on your own data).",
        ),
    ] = None,
    version: Annotated[str, typer.Option(metavar="VERSION", help="Model version.")] = "1",
    facts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="YAML file with the model card's data, terms and measured figures."
        ),
    ] = None,
    results: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Result file of lungscore evaluate for the model card. May be repeated.",
        ),
    ] = None,
    monai: Annotated[
        bool,
        typer.Option("--monai", metavar="", help="Write a model as a MONAI bundle."),
    ] = False,
) -> None:
    """Export a training run as a model bundle that analyze can use. Needs no dataset."""
    if monai:
        _export_monai(run, out, given=(name, facts, *(results or ())))
        return
    from lungscore.inference.bundle import CARD
    from lungscore.learning.card import make_bundle, unstated

    bundle = make_bundle(
        run, out, name=name, version=version, facts=facts, results=tuple(results or ())
    )
    card = bundle.card
    say(f"Model: {bundle.folder} ({card.name} {card.version})")
    for metric in card.metrics:
        say(f"  {metric['name']}: {metric['text']}")
    if not card.metrics:
        say("The model card states no figures: measure the training and give --results FILE.")
    if missing := unstated(card, facts):
        say(
            f"The model card does not state {' and '.join(_UNSTATED[key] for key in missing)}."
            f" Write {' and '.join(missing)} into a YAML file and export again with "
            f"--facts FILE, or into {bundle.folder / CARD}."
        )


def _export_monai(model: Path, out: Path, *, given: tuple[object, ...]) -> None:
    from lungscore.inference import load_bundle
    from lungscore.inference.monai_bundle import write_monai_bundle

    if any(value is not None for value in given):
        raise UsageError(
            "usage",
            "--monai writes a model as it is: --name, --facts and --results do not apply",
            hint="Export the training run first, then the model with --monai",
        )
    bundle = load_bundle(str(model))
    say(f"MONAI bundle: {write_monai_bundle(bundle, out)} ({bundle.card.name})")
    say(f"  terms: {bundle.card.data_terms}")


#: What the keys of a card's facts are, in words.
_UNSTATED = {
    "data": "the training data",
    "data_terms": "the terms of the training data",
    "limits": "the limits of the model",
}
