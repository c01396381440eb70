"""docs/measurements.md, written from the result files and from nothing else."""

import json
from pathlib import Path
from typing import Any


def page(results: Path) -> str:
    """The whole page."""
    parts = [
        "# Measurements",
        "Written by `python experiments/measure.py docs` from the files in `experiments/results/`. "
        "Threshold 0.5, fixed. Intervals are 95 % percentile bootstrap over slices.",
        _slices(results),
        _lesions(results),
        _healthy(results),
        _patient(results),
        _candidate(results),
        _scans(results),
        _stages(results),
        _engines(results),
    ]
    return "\n\n".join(parts) + "\n"


def readme_figures(results: Path) -> str:
    """The few lines that the README repeats."""
    slices = _load(results, "first-light-slices.json")["figures"]
    inf_net = _load(results, "peer-Inf-Net.json")["figures"]
    healthy = _load(results, "first-light-healthy.json")["figures"]
    patient = _load(results, "first-light-patient.json")["figures"]
    auc = patient["slice_auc"]
    scan = _load(results, "real-scans.json")["scans"][0]
    return "\n".join(
        [
            f"- Infection in the {slices['dice']['n']} public test slices of COVID-SemiSeg: Dice "
            f"{_interval(slices['dice'])} (released maps of Inf-Net: {_interval(inf_net['dice'])}).",
            f"- A healthy person: {healthy['infection_percent']:.2f} % of the lungs called infected "
            "(two-fold, n = 1).",
            f"- A patient never trained on: infected slices told from clean ones with AUC "
            f"{_interval(auc, 'auc')} (n = {auc['n']} slices of 1 patient); "
            f"{patient['left_percent_of_infection']:.0f} % of the infected millilitres in the lung "
            "that radiologists marked.",
            f"- {scan['slices']} slices of 512 × 512 in {scan['seconds']:.0f} s on "
            f"{scan['cpus']} threads of {scan['cpu']}, cold start included (one run).",
        ]
    )


def _load(results: Path, name: str) -> dict[str, Any]:
    return json.loads((results / name).read_text(encoding="utf-8"))


def _interval(figure: dict[str, Any], key: str = "mean") -> str:
    return f"{figure[key]:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def _candidate(results: Path) -> str:
    infection = _load(results, "candidate-infection-folds.json")
    figures, healthy = infection["figures"], _load(results, "candidate-infection-healthy.json")
    lesions = _load(results, "candidate-lesions-folds.json")["figures"]
    rows = [
        f"| {name} | {_dice_and_n(each['ggo'])} | {_dice_and_n(each['consolidation'])} |"
        for name, each in (
            ("lesion network", lesions),
            ("a grey level chosen on these very slices", lesions["by_density"]),
        )
    ]
    shipped = _load(results, "first-light-healthy.json")["figures"]["infection_percent"]
    return "\n".join(
        [
            "## Candidates that do not ship",
            "",
            f"Command: `{infection['command']}`. `experiments/infection.yaml` trains on the 1600 "
            "slices with Semi-Inf-Net's released pseudo-labels first, then on the 50 annotated ones "
            "with healthy negatives. Each of the 50 by the network that had its fold held out "
            "(optimistic in one respect: the pseudo-labels' own network had been trained on all "
            f"50): Dice {_dice_and_n(figures)}, toolbox mean Dice "
            f"{_interval(figures['toolbox_dice'])}, area r {figures['area_correlation']:.3f}.",
            "",
            f"On the healthy person it calls {healthy['figures']['infection_percent']:.2f} % of the "
            f"lungs infected, two-fold, where the shipped network calls {shipped:.2f} %: specificity "
            "would pay, so it does not ship.",
            "",
            "`experiments/lesions.yaml` tells GGO from consolidation inside what that network found. "
            "Dice out of fold, over the slices that hold the class:",
            "",
            "| told apart by | GGO | consolidation |",
            "|---|---|---|",
            *rows,
            "",
            "The network is not better than a grey level, so it does not ship either.",
        ]
    )


def _lesions(results: Path) -> str:
    tested = _load(results, "first-light-slices.json")["figures"]["lesions"]
    return "\n".join(
        [
            "## Ground-glass opacity and consolidation",
            "",
            "Dice over the public test slices that hold the class. The peers' are the best of their released "
            "maps on the same test slices.",
            "",
            "| maps | GGO | consolidation |",
            "|---|---|---|",
            f"| **lungscore** (by grey level) | {_dice_and_n(tested['ggo'])} | "
            f"{_dice_and_n(tested['consolidation'])} |",
            f"| best released maps | {_best_peer(results, 'ggo')} | "
            f"{_best_peer(results, 'consolidation')} |",
        ]
    )


def _best_peer(results: Path, part: str) -> str:
    """The peer whose maps of a class agree best where the class is present."""
    found = {
        path.stem.removeprefix(f"peer-{part}-"): _load(results, path.name)["figures"]
        for path in results.glob(f"peer-{part}-*.json")
    }
    present = {name: figures["where_present"] for name, figures in found.items()}
    best = max(present, key=lambda name: present[name]["dice"]["mean"])
    return f"{best}: {_dice_and_n(present[best])}"


def _dice_and_n(figures: dict[str, Any]) -> str:
    return f"{_interval(figures['dice'])}, n = {figures['dice']['n']}"


def _slices(results: Path) -> str:
    rows = []
    ours = _load(results, "first-light-slices.json")["figures"]
    named = [
        ("**lungscore**", ours),
        ("the same without slice 91", ours["without_91"]),
    ]
    for peer in ("UNet", "UNet++", "Inf-Net", "Semi-Inf-Net"):
        named.append((f"{peer} (released maps)", _load(results, f"peer-{peer}.json")["figures"]))
    for name, figures in named:
        rows.append(
            f"| {name} | {figures['dice']['n']} | {_interval(figures['dice'])} | "
            f"{_interval(figures['toolbox_dice'])} | {figures['toolbox_mae']['mean']:.3f} | "
            f"{figures['area_correlation']:.3f} |"
        )
    return "\n".join(
        [
            "## Infection in the public test slices of COVID-SemiSeg",
            "",
            "Command: `lungscore evaluate slices` (ours), `lungscore evaluate maps` (released maps). "
            "Slice 91 is nearly a copy of a training slice. The toolbox stretches each map to 0…1 "
            "before scoring; Dice at 0.5 does not. One training, seed 0.",
            "",
            "| method | slices | Dice at 0.5 | toolbox mean Dice | toolbox MAE | area r |",
            "|---|---|---|---|---|---|",
            *rows,
        ]
    )


def _healthy(results: Path) -> str:
    figures = _load(results, "first-light-healthy.json")["figures"]
    halves = "; ".join(
        f"{half} half {value['infection_percent']:.2f} % ({value['slices']} slices)"
        for half, value in figures["halves"].items()
    )
    return (
        "## A healthy person (COVID-CT-MD normal002)\n\n"
        f"Infection found: **{figures['infection_percent']:.2f} %** of the lungs, two-fold: each "
        f"half measured by a network that trained with the other half only ({halves}). n = 1 "
        "person. The shipped network trained with both halves."
    )


def _patient(results: Path) -> str:
    figures = _load(results, "first-light-patient.json")["figures"]
    auc = figures["slice_auc"]
    return (
        "## A patient never trained on (COVID-CT-MD P002)\n\n"
        f"Infected slices told from clean ones by their infection percent: AUC "
        f"**{_interval(auc, 'auc')}**, n = {auc['n']} slices ({auc['positive']} marked infected) of "
        f"one patient, so the interval says nothing about other patients. Of the infected "
        f"millilitres **{figures['left_percent_of_infection']:.1f} %** lie in the left lung, where "
        f"radiologists marked the disease. Looks at this scan are logged in looks.md."
    )


def _scans(results: Path) -> str:
    rows = []
    for scan in _load(results, "real-scans.json")["scans"]:
        if scan["exit"]:
            reason = " ".join(scan["rejected"].split())
            rows.append(f"| {scan['scan']} | exit {scan['exit']} | | | | | {reason} |")
            continue
        burden = scan["burden"]
        severity = scan["severity"] or "withheld: " + ", ".join(scan["withheld"])
        rows.append(
            f"| {scan['scan']} | {scan['slices']} | {_number(scan['lungs_ml'], 0)} | "
            f"{_number(burden['infection_percent'], 1)} | {_number(scan['ct_ss'], 0)} | "
            f"{severity} | {', '.join(scan['warnings'])} |"
        )
    return "\n".join(
        [
            "## Every scan at hand through `lungscore analyze`",
            "",
            "| scan | slices | lungs, ml | infection, % | CT-SS | severity | warnings |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            "These are what the program says, not what is true: only P002 and normal002 have a "
            "known answer. normal002 was trained on, so its line is no measurement.",
        ]
    )


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _stages(results: Path) -> str:
    scan = _load(results, "real-scans.json")["scans"][0]
    rows = [f"| {name} | {seconds:.1f} |" for name, seconds in scan["stages"].items()]
    return "\n".join(
        [
            "## Where the time goes",
            "",
            f"`lungscore analyze` on P002 ({scan['slices']} slices of 512 × 512), "
            f"{scan['cpus']} threads of {scan['cpu']}, one run, cold start: "
            f"**{scan['seconds']:.1f} s** from the command to its end, "
            f"{scan['peak_memory_mib']} MiB of memory at most.",
            "",
            "| stage | seconds |",
            "|---|---|",
            *rows,
        ]
    )


def _engines(results: Path) -> str:
    content = _load(results, "engines.json")
    lowest = {
        precision: min(
            row["dice_at_equal_precision"]
            for row in content["engines"]
            if row["precision"] == precision
        )
        for precision in ("f32", "bf16")
    }
    verdict = "; ".join(
        f"at {precision} {value:.4f}, the aim is {'met' if value >= 0.999 else 'missed'}"
        for precision, value in lowest.items()
    )
    rows = [
        f"| {row['engine']} {row['precision']} | {row['dice']:.5f} | "
        f"{row['dice_at_equal_precision']:.5f} | "
        f"{row['largest_percent_difference']:.3f} | {row['relative_time']:.2f} |"
        for row in content["engines"]
    ]
    return "\n".join(
        [
            "## The same masks from every engine",
            "",
            f"Command: `{content['command']}`. {content['slices']} slices: the phantom (moderate, "
            "seed 0) and the training crops. Dice of all infected pixels with OpenVINO at f32, the "
            "largest difference in a slice's infected percent, and the network's time over that of "
            "OpenVINO f32 in the same run. f32 is what `auto` means; bf16 is for those who ask.",
            "",
            "| engine | Dice with OpenVINO f32 | with OpenVINO, same precision | "
            "largest difference, points | relative time |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"Aim between engines at equal precision: Dice at least 0.999. Lowest {verdict}. At bf16 "
            "each engine rounds at places of its own, so their masks differ.",
        ]
    )
