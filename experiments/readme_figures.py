"""The few figures that the README repeats, from the result files."""

from pathlib import Path

from lungscore.statistics.estimate import text_of
from measurements_page import load


def readme_figures(results: Path) -> str:
    """The few lines that the README repeats."""
    slices = load(results, "infection-slices.json")["figures"]
    folds = load(results, "infection-folds.json")["figures"]
    inf_net, semi = (
        load(results, f"peer-{peer}.json")["figures"] for peer in ("Inf-Net", "Semi-Inf-Net")
    )
    healthy = load(results, "infection-healthy.json")["figures"]
    patient = load(results, "infection-patient.json")["figures"]
    auc = patient["slice_auc"]
    scan = load(results, "real-scans.json")["scans"][0]
    return "\n".join(
        [
            f"- Infection in the {slices['dice']['n']} public test slices of COVID-SemiSeg: Dice "
            f"{text_of(slices['dice'])} (released maps of Inf-Net: {text_of(inf_net['dice'])}, "
            f"of Semi-Inf-Net: {text_of(semi['dice'])}). Out of fold on the {folds['dice']['n']} "
            f"annotated slices: {text_of(folds['dice'])}; the goal was 0.80.",
            f"- In a healthy person, {healthy['infection_percent']:.2f} % of the lungs was marked "
            "as infected (two-fold, n = 1).",
            f"- A patient never trained on: infected and clean slices distinguished with an AUC of "
            f"{text_of(auc, 'auc')} (n = {auc['n']} slices of 1 patient); "
            f"{patient['left_percent_of_infection']:.0f} % of the infected volume in the lung "
            "that radiologists marked. It is also a gate of a release, so that this may be "
            "slightly optimistic ([looks](docs/looks.md)).",
            _told_apart(results),
            f"- {scan['slices']} slices of 512 × 512 in {scan['seconds']:.0f} s on "
            f"{scan['cpus']} threads of {scan['cpu']}, cold start included (one run).",
        ]
    )


def _told_apart(results: Path) -> str:
    """Infected or not, slice by slice, by the rule that `predict` goes by."""
    slices, patient = (load(results, f"detection-{name}.json") for name in ("slices", "patient"))
    rules = slices["rule"]["plain"], patient["map"]["plain"]["rule"]
    out_of_fold, of_patient = (
        ", ".join(f"{name} {text_of(rule[name], 'value')}" for name in rule) for rule in rules
    )
    return (
        "- Slices classified as infected at 1 % or more of their lungs, measured with infection "
        f"0.2, the network before the present one: {out_of_fold} (out of fold, "
        f"{slices['infected']['slices']} annotated slices and {slices['healthy']['slices']} "
        f"of one healthy person, processed alike); in the patient never trained on {of_patient} "
        f"(n = {patient['slices']} slices)."
    )
