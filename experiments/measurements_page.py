"""docs/measurements.md, written from the result files and from nothing else."""

import json
from pathlib import Path
from typing import Any

import altered_scans_page
import calibration_page
import dense_phantoms_page
import even_opacity_page
import flicker_page
import precision_page
import scans_page
import score_performance_page
import timed_stages_page
import trials_page
from lungscore.statistics.estimate import text_of


def page(results: Path) -> str:
    """The whole page."""
    parts = [
        "# Measurements",
        "Written by `python experiments/measure.py docs` from the files in `experiments/results/`. "
        "Threshold 0.5, fixed. Intervals are 95 % percentile bootstrap over slices.",
        _aims(results),
        _tried(results),
        _slices(results),
        _lesions(results),
        timed_stages_page.section(load(results, "timed-stages.json")),
        _healthy(results),
        _patient(results),
        score_performance_page.section(load(results, "score-performance.json")),
        flicker_page.section(load(results, "flicker.json")),
        even_opacity_page.section(load(results, "even-opacity.json")),
        trials_page.small(load(results, "small-folds.json")),
        trials_page.clean(load(results, "clean-folds.json")),
        trials_page.averaged(
            load(results, "averaged-folds.json"), load(results, "foreign-scans.json")
        ),
        trials_page.made_disease(load(results, "made-disease-folds.json")),
        dense_phantoms_page.section(load(results, "dense-phantoms.json")),
        calibration_page.calibration_section(load(results, "calibration.json")),
        calibration_page.ranges_section(load(results, "one-pass-ranges.json")),
        _finer(results),
        _views(results),
        altered_scans_page.section(load(results, "altered-scans.json")),
        scans_page.scans(load(results, "real-scans.json")),
        scans_page.stages(load(results, "real-scans.json")),
        scans_page.engines(load(results, "engines.json")),
        precision_page.section(load(results, "precision.json")),
    ]
    return "\n\n".join(parts) + "\n"


def load(results: Path, name: str) -> dict[str, Any]:
    return json.loads((results / name).read_text(encoding="utf-8"))


def _aims(results: Path) -> str:
    """What was aimed at, and how far what ships is from it."""
    folds = load(results, "infection-folds.json")["figures"]
    lesions = folds["lesions"]
    tested = load(results, "infection-slices.json")["figures"]
    semi = load(results, "peer-Semi-Inf-Net.json")["figures"]
    healthy = load(results, "infection-healthy.json")["figures"]["infection_percent"]
    auc = load(results, "infection-patient.json")["figures"]["slice_auc"]
    views = len(load(results, "views.json")["crop"])
    of_slices = [
        (name, aim, *(text_of(figures[key]) for figures in (folds, tested, semi)))
        for name, aim, key in (
            ("infection, Dice at 0.5", 0.80, "dice"),
            ("infection, toolbox mean Dice", 0.79, "toolbox_dice"),
        )
    ]
    of_slices += [
        (
            f"{name}, Dice where there is any",
            aim,
            text_of(lesions[key]["dice"]),
            text_of(tested["lesions"][key]["dice"]),
            _best_peer(results, key),
        )
        for name, aim, key in (("GGO", 0.70, "ggo"), ("consolidation", 0.58, "consolidation"))
    ]
    correlations = (f"{figures['area_correlation']:.3f}" for figures in (folds, tested, semi))
    of_slices.append(("infected area, r", 0.985, *correlations))
    return "\n".join(
        [
            "## Aims, and what was reached",
            "",
            "Out of fold: the 50 annotated slices, each by networks that had its fold held out, "
            "through the same code as `predict` (`python experiments/measure.py folds`). It is "
            "optimistic in two respects: the pseudo-labels from which the networks start were made "
            "by their authors' network, which had been trained on all 50; and the views in which a "
            f"slice is seen were picked among {views} on these same slices. The shipped network is "
            "trained on all 50 and measured on the test slices, once.",
            "",
            "| measure | aim | out of fold, n = 50 | test slices, n = 24 | best released maps, "
            "same test slices |",
            "|---|---|---|---|---|",
            *(
                f"| {name} | {aim} | {ours} | {test} | {peer} |"
                for name, aim, ours, test, peer in of_slices
            ),
            "",
            f"A healthy person: aim below 0.3 % of the lungs, found {healthy:.2f} %. Slices of a "
            f"patient distinguished: aim AUC 0.95, found {text_of(auc, 'auc')}.",
        ]
    )


def _tried(results: Path) -> str:
    """What was tried to improve on this, and the effect."""
    rows = (load(results, f"benchmark/{name}.json") for name in ("supervised", "finer-inf-net"))
    of_slices = (row["held_out"]["infection"]["per_slice"]["dice"]["seed0"] for row in rows)
    supervised, finer = (sum(dice) / len(dice) for dice in of_slices)
    views = load(results, "views.json")["crop"]
    once, six = views["1.0"]["mean"], views[_shipped_boxes(results)]["mean"]
    density = load(results, "infection-0.2-folds.json")["figures"]["lesions"]
    network = load(results, "lesions-folds.json")["figures"]
    return "\n".join(
        [
            "## What was tried to improve on this",
            "",
            f"- A finer stage: {supervised:.3f} to {finer:.3f} out of fold, all else the same "
            "(rows of [benchmarks.md](benchmarks.md), seed 0). Ships.",
            "- Pre-training under our own coach: no difference was shown "
            "([benchmarks.md](benchmarks.md), which asks the same of the paper's). Does not ship.",
            "- Pseudo-labels, ImageNet weights, 256 × 320 pixels, both windows and healthy slices "
            f"together: {once:.3f} out of fold. Ship.",
            f"- Six views of a lone slice: {once:.3f} to {six:.3f} out of fold. Ship. A wider "
            "margin around the lungs in volumes: see below. Ships.",
            "- A network for GGO and consolidation, beside infection 0.2: "
            f"{network['ggo']['dice']['mean']:.3f} and "
            f"{network['consolidation']['dice']['mean']:.3f}, where density gives "
            f"{density['ggo']['dice']['mean']:.3f} and "
            f"{density['consolidation']['dice']['mean']:.3f}. Does not ship.",
            "- A network of 4 GFLOP instead of 10 a slice, on small slices first and four and a "
            "half times as many: see [below](#a-network-of-4-gflop-a-slice). Ships, averaged with "
            "one that had more negatives, as 0.5.",
            "- A small network with two answers, stronger augmentation, averaged weights, "
            "synthetic dense disease and pseudo-labels of our own networks: trained too briefly to "
            "tell, see [below](#trainings-of-fixed-time-too-short-to-tell). Does not ship.",
            "- Not tried: more than 320 pixels, encoders larger than these.",
        ]
    )


def _finer(results: Path) -> str:
    """Why the shipped network has a finer stage."""
    resolution = load(results, "resolution.json")
    rows = [
        f"| {row['height']} × {row['width']} | 1/{row['step']} | {row['dice']:.3f} |"
        for row in resolution["rows"]
    ]
    return "\n".join(
        [
            "## How fine a map must be",
            "",
            f"Command: `{resolution['command']}`. Dice of the annotations with themselves, "
            "rendered through a map that is coarser than the network's input: no network with such "
            "an output can exceed it. Inf-Net's finest map is 1/8, that of the finer stage 1/1 "
            "([method.md](method.md)).",
            "",
            "| input | map | highest possible Dice, n = 50 |",
            "|---|---|---|",
            *rows,
        ]
    )


def _views(results: Path) -> str:
    """Why slices are seen in the boxes in which they are."""
    views, chosen = load(results, "views.json"), _shipped_boxes(results)
    rows = [
        f"| the published crop, lone | {_told(name, name == chosen)} | {text_of(figure)} |"
        for name, figure in views["crop"].items()
    ]
    rows += [
        f"| the full slice, as in a volume | "
        f"{_told(name, float(name) == views['shipped']['full_slice'])} | {text_of(figure)} |"
        for name, figure in views["full_slice"].items()
    ]
    return "\n".join(
        [
            "## In which box a slice is seen",
            "",
            f"Command: `{views['command']}`. Dice at 0.5 of the {views['crop'][chosen]['n']} "
            "annotated slices, each by the network that had its fold held out. For a crop: size of "
            "the box as a multiple of the crop's. For a full slice: how much the box of its lungs "
            "is widened on each side. The shipped choice is in bold.",
            "",
            "| slice | box | Dice at 0.5 |",
            "|---|---|---|",
            *rows,
        ]
    )


def _shipped_boxes(results: Path) -> str:
    """What the boxes in which a lone slice is seen are called in views.json."""
    boxes = load(results, "views.json")["shipped"]["crop"]
    return ", ".join(map(str, boxes)) + ", mirrored too"


def _told(name: str, shipped: bool) -> str:
    return f"**{name}**" if shipped else name


def _lesions(results: Path) -> str:
    tested = load(results, "infection-slices.json")["figures"]["lesions"]
    folds, before = (
        load(results, f"{name}.json")["figures"]["lesions"]
        for name in ("infection-folds", "infection-0.2-folds")
    )
    network = load(results, "lesions-folds.json")["figures"]
    rows = [
        f"| {name} | {_dice_and_n(classes['ggo'])} | {_dice_and_n(classes['consolidation'])} |"
        for name, classes in (
            ("out of fold, by density, as shipped", folds),
            ("out of fold, by density, infection 0.2", before),
            ("out of fold, by a network (experiments/lesions.yaml), infection 0.2", network),
            ("test slices, by density, as shipped", tested),
        )
    ]
    return "\n".join(
        [
            "## Ground-glass opacity and consolidation",
            "",
            "Dice over the slices that contain the class. The peers' are the best of their "
            "released maps on the same test slices. The grey level of the density rule is a single "
            "number, chosen on these very 50 slices.",
            "",
            "| maps | GGO | consolidation |",
            "|---|---|---|",
            *rows,
            f"| test slices, best released maps | {_best_peer(results, 'ggo')} | "
            f"{_best_peer(results, 'consolidation')} |",
        ]
    )


def _best_peer(results: Path, kind: str) -> str:
    """The peer whose maps of a class agree best where the class is present."""
    peers = {
        path.stem.removeprefix(f"peer-{kind}-"): load(results, path.name)["figures"]
        for path in results.glob(f"peer-{kind}-*.json")
    }
    present = {name: figures["where_present"] for name, figures in peers.items()}
    best = max(present, key=lambda name: present[name]["dice"]["mean"])
    return f"{best}: {_dice_and_n(present[best])}"


def _dice_and_n(figures: dict[str, Any]) -> str:
    return f"{text_of(figures['dice'])}, n = {figures['dice']['n']}"


def _slices(results: Path) -> str:
    rows = []
    ours = load(results, "infection-slices.json")["figures"]
    named = [
        ("**lungscore**", ours),
        ("the same without slice 91", ours["without_91"]),
    ]
    for peer in ("UNet", "UNet++", "Inf-Net", "Semi-Inf-Net"):
        named.append((f"{peer} (released maps)", load(results, f"peer-{peer}.json")["figures"]))
    for name, figures in named:
        rows.append(
            f"| {name} | {figures['dice']['n']} | {text_of(figures['dice'])} | "
            f"{text_of(figures['toolbox_dice'])} | {figures['toolbox_mae']['mean']:.3f} | "
            f"{figures['area_correlation']:.3f} |"
        )
    return "\n".join(
        [
            "## Infection in the public test slices of COVID-SemiSeg",
            "",
            "Command: `lungscore evaluate slices` (ours), `lungscore evaluate maps` (released "
            "maps). Slice 91 is nearly a copy of a training slice. The toolbox stretches each map "
            "to 0…1 before scoring; Dice at 0.5 does not. One training, seed 0.",
            "",
            "| method | slices | Dice at 0.5 | toolbox mean Dice | toolbox MAE | area r |",
            "|---|---|---|---|---|---|",
            *rows,
        ]
    )


def _healthy(results: Path) -> str:
    figures = load(results, "infection-healthy.json")["figures"]
    halves = "; ".join(
        f"{half} half {value['infection_percent']:.2f} % ({value['slices']} slices)"
        for half, value in figures["halves"].items()
    )
    return (
        "## A healthy person (COVID-CT-MD normal002)\n\n"
        f"Infection found: **{figures['infection_percent']:.2f} %** of the lungs, two-fold: each "
        f"half measured by a network that trained with the other half only ({halves}). n = 1 "
        f"person. Severity category of both halves together: **{figures['category']}**. The "
        "shipped network trained with both halves."
    )


def _patient(results: Path) -> str:
    figures = load(results, "infection-patient.json")["figures"]
    auc, lobes = figures["slice_auc"], figures["lobes"]
    slices = lobes["slices_of_marked_lobes"]
    right = ", ".join(
        f"{lobes['infection_percent'][name]:.2f} % ({name})" for name in ("RUL", "RML", "RLL")
    )
    return (
        "## A patient never trained on (COVID-CT-MD P002)\n\n"
        f"Infected and clean slices distinguished by their infection percent: AUC "
        f"**{text_of(auc, 'auc')}**, n = {auc['n']} slices ({auc['positive']} marked infected) of "
        f"one patient, so the interval says nothing about other patients. Of the infected "
        f"millilitres **{figures['left_percent_of_infection']:.1f} %** lie in the left lung, where "
        f"radiologists marked the disease, and **{lobes['marked_percent_of_infection']:.1f} %** in "
        f"the lobes that they marked, {' and '.join(lobes['marked_lobes'])} (lobes of our own; "
        f"aim: at least 90 %). Of each right lobe {right} is marked as infected (aim: below 1 %). "
        "Slices of those lobes, classified at 1 % or more of the area of the lobe: balanced "
        f"accuracy **{text_of(slices, 'balanced_accuracy')}**, n = {slices['n']} slices of lobes "
        f"({slices['marked']} marked; aim: 0.85), sensitivity {slices['sensitivity']:.2f}, "
        f"specificity {slices['specificity']:.2f}. This scan is also a gate of a release "
        "(AUC of at least 0.93), so that figures of what ships may be slightly optimistic; every "
        "evaluation on it is logged in [looks.md](looks.md)."
    )
