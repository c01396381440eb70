"""lungscore evaluate: measure a model, or released maps, and write a result file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lungscore.cli import options
from lungscore.cli.console import say

app = typer.Typer(
    no_args_is_help=True, help="Measure the accuracy of a model and write a result file."
)

Out = Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Result file (JSON).")]
Model = Annotated[str, typer.Option(metavar="NAME|FOLDER", help="The model to measure.")]


@app.command("slices")
def slices(
    out: Out,
    model: options.Model = None,
    lesions_model: options.LesionsModel = None,
) -> None:
    """Measure a finished model on the public test slices of COVID-SemiSeg."""
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


@app.command("maps")
def maps(
    predictions: Annotated[
        Path, typer.Argument(metavar="MAPS", help="Folder of prediction maps (grey images).")
    ],
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="Folder of reference masks.")],
    out: Out,
) -> None:
    """Measure prediction maps of any method against reference masks with the same file names."""
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
) -> None:
    """Measure false positives in healthy lungs.

    Each half of the scan is segmented by the model trained on the other half.
    """
    from lungscore.evaluation.protocols import on_healthy_halves

    halves = {"cranial": _segmenter(cranial), "caudal": _segmenter(caudal)}
    figures = on_healthy_halves(scan, halves)
    text = f"{figures['infection_percent']:.2f} % of the lungs, n = 1 person, two-fold by halves"
    card = [{"name": "healthy lungs", "text": text}]
    what = f"healthy {scan.name} --cranial {Path(cranial).name} --caudal {Path(caudal).name}"
    _write(out, what, figures, card, models=list(halves.values()))


@app.command("patient")
def patient(
    scan: Annotated[Path, typer.Argument(metavar="SCAN", help="CT of the patient.")],
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="Labels of each slice.")],
    out: Out,
    model: Model = "infection",
) -> None:
    """Measure a model on a patient whose slices were labelled by a radiologist.

    Run this once per release candidate.
    """
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
    what: str,
    figures: dict[str, Any],
    card: list[dict[str, Any]],
    *,
    models: Sequence[Any] = (),
) -> None:
    from lungscore.evaluation.results import write_result

    command = f"lungscore evaluate {what}"
    write_result(out, command=command, figures=figures, card=card, models=models)
    for line in card:
        say(f"{line['name']}: {line['text']}")
