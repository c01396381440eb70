"""lungscore evaluate: measure a model, or released maps, and write a result file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lungscore.cli import options
from lungscore.cli.console import say
from lungscore.files import refuse_existing_file

app = typer.Typer(
    no_args_is_help=True, help="Measure the accuracy of a model and write a result file."
)

Out = Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Result file (JSON).")]
Model = Annotated[str, typer.Option(metavar="NAME|FOLDER", help="The model to measure.")]


@app.command("slices")
def slices(
    out: Out,
    overwrite: options.Overwrite = False,
    model: options.Model = None,
    lesions_model: options.LesionsModel = None,
) -> None:
    """Measure a finished model on the public test slices of COVID-SemiSeg."""
    refuse_existing_file(out, overwrite=overwrite)
    from lungscore.datasets.training_slices import data_root
    from lungscore.evaluation.protocols import on_test_slices
    from lungscore.inference import load_segmenter
    from lungscore.statistics.estimate import text_of

    segmenter = load_segmenter(model, lesions_model)
    figures = on_test_slices(data_root() / "covid-semiseg", segmenter)
    name = "test slices of COVID-SemiSeg"
    card = _slice_card(name, figures)
    for key, called in (("ggo", "GGO"), ("consolidation", "consolidation")):
        text = text_of(figures["lesions"][key]["dice"], with_n=True)
        line = {"name": f"{name}, {called}, Dice where there is any", "text": text}
        card.append({**line, "target": "lesions"})
    _write(out, "slices", figures, card, models=[segmenter])


Against = Annotated[
    str,
    typer.Option(metavar="NAME|FOLDER", help="The model to compare with, on the same slices."),
]


@app.command("folds")
def folds(
    runs: Annotated[
        Path,
        typer.Argument(
            metavar="RUNS", help="Folder with a finished run for each fold (runs/NAME)."
        ),
    ],
    out: Out,
    overwrite: options.Overwrite = False,
    against: Against = "infection",
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Seed of the runs, if there are several.")
    ] = None,
) -> None:
    """Measure a training out of fold: each slice by the network that did not train on its patient.

    The model to compare with sees the same slices. Requires the train extra.
    """
    refuse_existing_file(out, overwrite=overwrite)
    from lungscore.datasets.training_slices import data_root
    from lungscore.evaluation.own_labels import compare_on_labels
    from lungscore.learning.out_of_fold import fold_runs, maps_out_of_fold

    reference = _infection_bundle(against)
    finished = fold_runs(runs, seed=seed)
    figures = {
        "experiment": finished[0].config.name,
        "manifests": finished[0].facts.get("manifests", {}),
        "runs": [run.identity for run in finished],
        "reference": _named(reference),
        **compare_on_labels(maps_out_of_fold(finished, reference, data_root())),
    }
    _write_comparison(out, f"folds {runs.name}", figures, f"out of fold, {len(finished)} folds")


@app.command("labels")
def labels(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="Manifest of your own labels (CSV).")
    ],
    out: Out,
    overwrite: options.Overwrite = False,
    model: Model = "infection",
    against: Against = "infection",
    group: Annotated[
        str, typer.Option(metavar="GROUP", help="train, validation or test.")
    ] = "test",
) -> None:
    """Measure a model on your own labels, for instance on the patients kept for a test.

    The model to compare with sees the same slices. Requires the train extra.
    """
    refuse_existing_file(out, overwrite=overwrite)
    from typing import get_args

    from lungscore.datasets.records import Group
    from lungscore.errors import UsageError
    from lungscore.evaluation.own_labels import compare_on_labels
    from lungscore.inference.bundle import sha256
    from lungscore.learning.out_of_fold import maps_of_bundle

    if group not in get_args(Group):
        raise UsageError("usage", f"Unknown group: {group!r}", expected=", ".join(get_args(Group)))
    measured, reference = _infection_bundle(model), _infection_bundle(against)
    maps = maps_of_bundle(measured, reference, manifest, group)  # type: ignore[arg-type]
    comparison = compare_on_labels(maps)
    figures = {
        "model": _named(measured),
        "manifests": {manifest.stem: sha256(manifest)},
        "group": group,
        "reference": _named(reference),
        **comparison,
    }
    arguments = f"labels {manifest.name} --model {Path(model).name} --group {group}"
    _write_comparison(out, arguments, figures, f"group {group} of {manifest.stem}")


def _infection_bundle(model: str) -> Any:
    """A bundle for infection. Raises config-invalid for one with another target."""
    from lungscore.errors import InputError
    from lungscore.inference.bundle import load_bundle

    bundle = load_bundle(model)
    if bundle.card.target != "infection":
        raise InputError(
            "config-invalid",
            f"The model {bundle.card.name} is for {bundle.card.target}",
            expected="a model for infection",
        )
    return bundle


def _named(bundle: Any) -> dict[str, str]:
    used = bundle.used
    return {"name": used.name, "version": used.version, "weights_sha256": used.sha256}


def _write_comparison(out: Path, arguments: str, figures: dict[str, Any], where: str) -> None:
    from lungscore.evaluation.own_labels import card_lines

    reference = "{name} {version}".format(**figures["reference"])
    _write(out, arguments, figures, card_lines(figures, where=where, reference=reference))


@app.command("maps")
def maps(
    predictions: Annotated[
        Path, typer.Argument(metavar="MAPS", help="Folder of prediction maps (grey images).")
    ],
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="Folder of reference masks.")],
    out: Out,
    overwrite: options.Overwrite = False,
) -> None:
    """Measure prediction maps of any method against reference masks with the same file names.

    MAPS may be the output folder of lungscore predict; its class maps are ignored.
    """
    refuse_existing_file(out, overwrite=overwrite)
    from lungscore.evaluation.protocols import on_released_maps

    figures = on_released_maps(predictions, truth)
    _write(out, f"maps {predictions.name}", figures, _map_card(predictions.name, figures))


@app.command("healthy")
def healthy(
    scan: Annotated[Path, typer.Argument(metavar="SCAN", help="CT of a healthy person.")],
    cranial: Annotated[
        str, typer.Option(metavar="NAME|FOLDER", help="Model trained on the cranial half.")
    ],
    caudal: Annotated[
        str, typer.Option(metavar="NAME|FOLDER", help="Model trained on the caudal half.")
    ],
    out: Out,
    overwrite: options.Overwrite = False,
) -> None:
    """Measure false positives in healthy lungs.

    Each half of the scan is segmented by the model trained on the other half.
    """
    refuse_existing_file(out, overwrite=overwrite)
    from lungscore.evaluation.protocols import on_healthy_halves

    halves = {"cranial": _segmenter(cranial), "caudal": _segmenter(caudal)}
    figures = on_healthy_halves(scan, halves)
    text = f"{figures['infection_percent']:.2f} % of the lungs, n = 1 person, two-fold by halves"
    card = [{"name": "healthy lungs", "text": text}]
    arguments = f"healthy {scan.name} --cranial {Path(cranial).name} --caudal {Path(caudal).name}"
    _write(out, arguments, figures, card, models=list(halves.values()))


@app.command("patient")
def patient(
    scan: Annotated[Path, typer.Argument(metavar="SCAN", help="CT of the patient.")],
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="Labels of each slice.")],
    out: Out,
    overwrite: options.Overwrite = False,
    model: Model = "infection",
) -> None:
    """Measure a model on a patient whose slices were labelled by a radiologist.

    Run this once per release candidate.
    """
    refuse_existing_file(out, overwrite=overwrite)
    from lungscore.evaluation.protocols import on_patient
    from lungscore.statistics.estimate import text_of

    segmenter = _segmenter(model)
    figures = on_patient(scan, labels, segmenter)
    lobes = figures["lobes"]
    card = [
        {
            "name": "slices of one patient told apart, AUC",
            "text": text_of(figures["slice_auc"], "auc", with_n=True) + " slices of 1 patient",
        },
        {
            "name": "infection in the lung that a radiologist marked",
            "text": f"{figures['left_percent_of_infection']:.1f} % of the infected ml, n = 1",
        },
        {
            "name": "infection in the lobes that a radiologist marked",
            "text": f"{lobes['marked_percent_of_infection']:.1f} % of the infected ml, n = 1",
        },
        {
            "name": "slices of the marked lobes told apart, balanced accuracy",
            "text": text_of(lobes["slices_of_marked_lobes"], "balanced_accuracy", with_n=True)
            + " slices of lobes of 1 patient",
        },
    ]
    _write(out, f"patient {scan.name} {labels.name}", figures, card, models=[segmenter])


def _slice_card(name: str, figures: dict[str, Any]) -> list[dict[str, Any]]:
    from lungscore.statistics.estimate import text_of

    return [
        {"name": f"{name}, {key}", "text": text_of(figures[field], with_n=True)}
        for key, field in (("Dice at 0.5", "dice"), ("toolbox mean Dice", "toolbox_dice"))
    ]


#: What is told of somebody's maps besides the figures of every slice card.
MAP_FIGURES = {
    "IoU": "iou",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "precision": "precision",
    "toolbox S-measure": "toolbox_s_measure",
    "toolbox E-measure": "toolbox_e_measure",
    "toolbox mean absolute error": "toolbox_mae",
    "surface Dice": "surface_dice",
    "95 % Hausdorff distance": "hd95",
}


def _map_card(name: str, figures: dict[str, Any]) -> list[dict[str, Any]]:
    from lungscore.statistics.estimate import text_of

    card = _slice_card(name, figures)
    for key, field in MAP_FIGURES.items():
        card.append({"name": f"{name}, {key}", "text": text_of(figures[field], with_n=True)})
    card[-1]["text"] += f", in {figures['distances']['unit']}"
    correlation = figures["area_agreement"]["correlation"]
    if correlation["r"] is not None:
        text = text_of(correlation, "r", with_n=True)
        card.append({"name": f"{name}, correlation of areas", "text": text})
    if 0 < figures["where_present"]["n"] < figures["n"]:
        text = text_of(figures["where_present"]["dice"], with_n=True)
        card.append({"name": f"{name}, Dice at 0.5 where the truth is not empty", "text": text})
    return card


def _segmenter(model: str) -> Any:
    from lungscore.inference import Segmenter, load_bundle

    return Segmenter(load_bundle(model))


def _write(
    out: Path,
    arguments: str,
    figures: dict[str, Any],
    card: list[dict[str, Any]],
    *,
    models: Sequence[Any] = (),
) -> None:
    from lungscore.evaluation.results import write_result

    command = f"lungscore evaluate {arguments}"
    write_result(out, command=command, figures=figures, card=card, models=models)
    for line in card:
        say(f"{line['name']}: {line['text']}")
