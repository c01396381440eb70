"""Infected or not, slice by slice: measured on slices of two sources that were made alike.

    lungscore train experiments/infection-cranial.yaml --fold 0      # 1 to 4 too, and caudal alike
    python experiments/detection.py slices maps measure figure
    python experiments/detection.py patient                          # one look at P002

"slices" makes the 50 annotated training slices and as many of a healthy person alike; "maps" lets
the ten networks, each of which saw four fifths of the ones and half of the others, find infection
in what they have not seen; "measure" writes results/detection-slices.json, "figure" draws it.
"patient" applies what was learned to a patient never trained on, with the shipped network; log it
in docs/looks.md.
Needs LUNGSCORE_DATA, the extras train and study, and the finished run of infection-stage.yaml.
"""

import csv
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from alike import (
    LOOSE,
    AlikeSlice,
    as_published,
    make_alike,
    match_by_shape,
    matching_window,
    without_lesions,
    without_lungs,
)
from lungscore.anatomy import find_lungs, slice_boxes
from lungscore.datasets import covid_semiseg
from lungscore.datasets.healthy import part_of
from lungscore.datasets.training_slices import data_root
from lungscore.errors import InputError
from lungscore.evaluation.results import plain
from lungscore.files import atomic_path, atomic_write
from lungscore.machine import cpu_model
from lungscore.scan import Scan, read_scan
from lungscore.scan.window import network_boxes
from lungscore.severity.edges import FLOOR_PERCENT
from lungscore.statistics.estimate import text_of
from slice_detection import (
    FEATURES,
    blocks,
    called,
    features,
    figures,
    fit_logistic,
    out_of_fold,
)

HERE = Path(__file__).parent
KEPT = Path("runs/detection")
HALVES = ("cranial", "caudal")
FOLDS = 5
SEED = 20200414

#: Regularisations (scikit-learn's C) of the classifier on the encoder's features: both are told,
#: none was chosen. That on the few features of maps takes scikit-learn's own.
REGULARISATIONS, USUAL = (0.01, 0.001), 1.0

#: Slices of a scan take part whose lungs are at least this share of those of its largest slice:
#: annotated slices show no tips of lungs.
LARGE = 0.4

#: In what ways every slice is shown to a detector.
VARIANTS = ("plain", "without_lungs", "without_lesions")


def of_scan(scan: Scan, window_hu: tuple[float, float], chosen: np.ndarray) -> list[AlikeSlice]:
    """The chosen slices made alike, named by their index; without those in which lungs are lost."""
    boxes = network_boxes(slice_boxes(find_lungs(scan).labels), margin=LOOSE)
    slices_of_scan = []
    for index in map(int, chosen):
        row0, row1, column0, column1 = map(int, boxes[index])
        shown = as_published(scan.values[index], (row0, row1, column0, column1), window_hu)
        try:
            slices_of_scan.append(make_alike(str(index), shown, np.zeros(shown.shape, bool)))
        except InputError as error:
            print(f"slice {index} is left out: {error.found}", flush=True)
    return slices_of_scan


def large_slices(scan: Scan) -> np.ndarray:
    """The slices of a scan that take part."""
    area = (find_lungs(scan).labels > 0).sum(axis=(1, 2))
    return np.flatnonzero(area >= LARGE * area.max())


def slices(root: Path) -> None:
    """Write the slices, in all variants."""
    infected = [
        make_alike(sample.name, sample.image, sample.infection)
        for sample in covid_semiseg.load(root / "covid-semiseg", "train")
    ]
    scan = read_scan(root / "covid-ct-md/normal002")
    chosen = large_slices(scan)
    # What lies outside the lungs chooses the window: wide enough to lose nothing of it.
    wide = (-1350.0, 450.0)
    some = of_scan(scan, wide, chosen[::6])
    outside = np.concatenate([sample.image[~sample.lungs] for sample in some]) / 255
    hounsfield = (outside * (wide[1] - wide[0]) + wide[0])[::20]
    grey = np.concatenate([sample.image[~sample.lungs] for sample in infected])[::40]
    window_hu = matching_window(grey, hounsfield)
    healthy = of_scan(scan, window_hu, chosen)
    partners = match_by_shape(*(np.stack([s.lungs for s in of]) for of in (infected, healthy)))
    healthy = [healthy[index] for index in np.sort(partners)]
    rng = np.random.default_rng(SEED)
    # Where healthy.load parts the cranial half of a scan from the caudal one.
    boxes = network_boxes(slice_boxes(find_lungs(scan).labels))
    cranial = part_of(np.flatnonzero(boxes[:, 1] > boxes[:, 0]), "cranial")
    middle = int(cranial[-1]) + 1
    kept: dict[str, Any] = {"window_hu": window_hu, "large": len(chosen), "middle": middle}
    for name, group in (("infected", infected), ("healthy", healthy)):
        borrowed = rng.integers(0, len(infected), len(group))
        kept[f"{name}_names"] = [sample.name for sample in group]
        kept[f"{name}_lungs"] = np.stack([sample.lungs for sample in group])
        kept[f"{name}_plain"] = np.stack([sample.image for sample in group])
        kept[f"{name}_without_lungs"] = np.stack([without_lungs(sample) for sample in group])
        kept[f"{name}_without_lesions"] = np.stack(
            [
                without_lesions(
                    sample, sample.infection if sample.infected else infected[b].infection
                )
                for sample, b in zip(group, borrowed, strict=True)
            ]
        )
    save("slices", kept)


def maps(root: Path) -> None:
    """Let every network predict what it has not seen, in all variants."""
    import torch

    from lungscore.learning.experiment_file import at, load_experiment, run_folder
    from lungscore.learning.loop import WEIGHTS
    from lungscore.learning.maps import load_network

    device = "cuda" if torch.cuda.is_available() else "cpu"
    where = torch.cuda.get_device_name() if device == "cuda" else cpu_model()
    seen = load("slices")
    folds, halves = parts(seen)
    kept: dict[str, Any] = {"device": where}
    for block in blocks(folds, halves):
        # The held-out half is the one that the network was not trained on.
        file = HERE / f"infection-{HALVES[1 - block.half]}.yaml"
        config = at(load_experiment(file), fold=block.fold, seed=None)
        run = run_folder(config)
        network = load_network(run, config).to(device)
        weights = hashlib.sha256((run / WEIGHTS).read_bytes()).hexdigest()
        kept["networks"] = [*kept.get("networks", []), f"{run.as_posix()} {weights}"]
        for group, out in (("infected", block.infected[1]), ("healthy", block.healthy[1])):
            for variant in VARIANTS:
                grey = torch.from_numpy(seen[f"{group}_{variant}"][out])[:, None].float() / 255
                with torch.inference_mode():
                    probabilities = torch.cat(
                        [network(chunk.to(device)) for chunk in grey.split(8)]
                    )
                levels = (probabilities[:, 0].float().cpu().numpy() * 255 + 0.5).astype(np.uint8)
                kept[f"{group}_{variant}_{block.fold}_{block.half}"] = levels
        print(f"fold {block.fold}, {HALVES[block.half]} held out", flush=True)
    save("maps", kept)


def parts(seen: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The fold of every infected slice, and the half of every healthy one: 0 cranial, 1 caudal."""
    from lungscore.learning.selection import annotated_folds

    folds = annotated_folds(FOLDS)
    middle = int(seen["middle"])
    halves = (seen["healthy_names"].astype(int) >= middle).astype(int)
    return np.array([folds[name] for name in seen["infected_names"]]), halves


def measure(root: Path) -> None:
    """Write the figures of both detectors and of their controls."""
    seen, stored = load("slices"), load("maps")
    folds, halves = parts(seen)
    infected = np.arange(len(folds) + len(halves)) < len(folds)
    told: dict[str, dict[str, Any]] = {
        "map": {},
        "rule": {},
        "encoder": {},
        "parted": {},
        "probabilities": {},
    }
    # Whose neighbours train knows the person: how much a control gains by that is told, too.
    partitions = {
        "tens": np.arange(len(halves)) * 5 // len(halves),
        "random": np.random.default_rng(SEED).permutation(len(halves)) % 5,
    }
    for variant in VARIANTS:
        values = [of_maps(seen, stored, group, variant) for group in ("infected", "healthy")]
        told["rule"][variant] = by_rule(np.concatenate(values), infected)
        of = {"map": (values, USUAL)}
        deepest = [of_encoder(seen[f"{group}_{variant}"]) for group in ("infected", "healthy")]
        of |= {f"encoder {c}": (deepest, c) for c in REGULARISATIONS}
        told["parted"][variant] = {}
        for name, (both, c) in of.items():
            probability = out_of_fold(*both, folds, halves, regularisation=c)
            estimates = figures(probability, infected)
            told["probabilities"].setdefault(variant, {})[name] = probability.tolist()
            if name == "map":
                told["map"][variant] = estimates
            else:
                told["encoder"].setdefault(variant, {})[str(c)] = estimates
            told["parted"][variant][name] = {"halves": estimates["auc"]} | {
                how: figures(out_of_fold(*both, folds, parts_of, regularisation=c), infected)["auc"]
                for how, parts_of in partitions.items()
            }
        print(variant, text_of(told["map"][variant]["auc"], "value", with_n=True), flush=True)
        for c, estimates in told["encoder"][variant].items():
            print("  encoder", c, text_of(estimates["auc"], "value", with_n=True), flush=True)
    write(
        "detection-slices",
        "python experiments/detection.py slices maps measure",
        {
            "seed": SEED,
            "infected": {"slices": len(folds), "source": "covid-semiseg, training slices"},
            "healthy": {
                "slices": len(halves),
                "of": int(seen["large"]),
                "source": "covid-ct-md/normal002, one person",
            },
            "window_hu": seen["window_hu"].tolist(),
            "networks": {
                "weights_sha256": dict(line.split() for line in stored["networks"].tolist()),
                "maps_made_on": str(stored["device"]),
            },
            **told,
        },
    )


def figure(root: Path) -> None:
    """docs/figures/detection.png: ROC and calibration, from the result file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    told = json.loads((HERE / "results/detection-slices.json").read_text(encoding="utf-8"))
    ill, well = told["infected"]["slices"], told["healthy"]["slices"]
    infected = np.arange(ill + well) < ill
    picture = Figure(figsize=(9, 5), layout="constrained")
    left, right = picture.subplots(1, 2)
    lines = (
        ("plain", "map", "infection map", "tab:blue", "-"),
        ("plain", "encoder 0.01", "encoder", "tab:orange", "-"),
        ("without_lungs", "map", "infection map, lungs hidden", "tab:blue", ":"),
        ("without_lungs", "encoder 0.01", "encoder, lungs hidden", "tab:orange", ":"),
    )
    for shown, name, text, colour, style in lines:
        probability = np.array(told["probabilities"][shown][name])
        cuts = [np.inf, *sorted(set(probability), reverse=True)]
        rates = [
            [(probability[group] >= cut).mean() for cut in cuts] for group in (~infected, infected)
        ]
        area = told["parted"][shown][name]["halves"]
        text += f"\nAUC {text_of(area, 'value')}"
        left.plot(*rates, style, color=colour, label=text)
    rule = told["rule"]["plain"]
    spot = 1 - rule["specificity"]["value"], rule["sensitivity"]["value"]
    left.plot(*spot, "k*", markersize=10, label="1 % of the slice's lungs")
    left.set(xlabel="1 − specificity", ylabel="sensitivity", title="ROC, out of fold")
    left.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    for name, text, colour in (("map", "infection map", "tab:blue"),
                               ("encoder", "encoder", "tab:orange")):  # fmt: skip
        curve = told[name]["plain"] if name == "map" else told[name]["plain"]["0.01"]
        bins = curve["calibration"]["reliability"]
        observed = np.array([[b["observed"][k] for k in ("value", "low", "high")] for b in bins])
        spread = np.abs(observed[:, 1:] - observed[:, :1]).T
        predicted = [b["predicted"] for b in bins]
        right.errorbar(predicted, observed[:, 0], spread, fmt="o", color=colour, label=text)
    right.plot([0, 1], [0, 1], "k--", linewidth=0.8)
    right.set(xlabel="predicted probability", ylabel="observed share", title="Calibration")
    right.legend(fontsize=8, loc="upper left")
    for axes in (left, right):
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    with atomic_path(HERE.parent / "docs/figures/detection.png") as temporary:
        FigureCanvasAgg(picture).print_figure(temporary, dpi=110)


def by_rule(values: np.ndarray, infected: np.ndarray) -> dict[str, Any]:
    """The rule without any learning: FLOOR_PERCENT of the slice's lungs are infected."""
    percent = 100 * 10 ** values[:, FEATURES.index("burden")]
    return called(percent >= FLOOR_PERCENT, infected)


def of_maps(
    seen: dict[str, np.ndarray], stored: dict[str, np.ndarray], group: str, variant: str
) -> np.ndarray:
    """(slices, k) features of a group, each the mean over the networks that had it held out."""
    folds, halves = parts(seen)
    lungs = seen[f"{group}_lungs"]
    total, times = np.zeros((len(lungs), len(FEATURES))), np.zeros((len(lungs), 1))
    for block in blocks(folds, halves):
        out = block.infected[1] if group == "infected" else block.healthy[1]
        levels = stored[f"{group}_{variant}_{block.fold}_{block.half}"]
        for index, level in zip(out, levels, strict=True):
            total[index] += features(level / np.float32(255), lungs[index])
            times[index] += 1
    return total / times


def of_encoder(images: np.ndarray) -> np.ndarray:
    """(slices, 512) deepest features of the encoder of infection-stage.yaml, averaged over a slice.

    That network has seen neither radiologists' labels nor healthy slices.
    """
    import torch

    from lungscore.learning.experiment_file import at, load_experiment, run_folder
    from lungscore.learning.maps import load_network
    from lungscore.networks import normalise

    config = at(load_experiment(HERE / "infection-stage.yaml"), fold=None, seed=None)
    encoder = load_network(run_folder(config), config).network.encoder
    with torch.inference_mode():
        few = torch.from_numpy(images)[:, None].split(8)
        deepest = [encoder(normalise(grey.float() / 255))[-1].mean((2, 3)) for grey in few]
    return torch.cat(deepest).numpy()


def patient(root: Path) -> None:
    """One look: the slices of P002 by what the annotated and healthy slices taught."""
    from lungscore.inference import load_bundle
    from lungscore.inference.engines import make_engine

    seen, held_out = load("slices"), load("maps")
    folder = root / "covid-ct-md"
    scan = read_scan(folder / "P002")
    with open(folder / "P002_labels.csv", newline="") as file:
        marked = np.array([row["infected"] == "1" for row in csv.DictReader(file)])
    lower, upper = map(float, seen["window_hu"])
    with_lungs = np.flatnonzero(find_lungs(scan).labels.any(axis=(1, 2)))
    alike = of_scan(scan, (lower, upper), with_lungs)
    truth = marked[[int(sample.name) for sample in alike]]
    learned = [of_maps(seen, held_out, group, "plain") for group in ("infected", "healthy")]
    model = fit_logistic(*learned, regularisation=USUAL)
    engine, _ = make_engine(load_bundle("infection"))
    told = {}
    for variant, show in (("plain", lambda sample: sample.image), ("without_lungs", without_lungs)):
        maps_of = engine((show(sample) / np.float32(255),) for sample in alike)
        pairs = zip(maps_of, alike, strict=True)
        values = np.stack(
            [features(levels.reshape(sample.image.shape), sample.lungs) for levels, sample in pairs]
        )
        told[variant] = figures(model.predict_proba(values)[:, 1], truth)
        told[variant]["rule"] = by_rule(values, truth)
        print(variant, text_of(told[variant]["auc"], "value", with_n=True), flush=True)
    write(
        "detection-patient",
        "python experiments/detection.py patient",
        {
            "scan": "covid-ct-md/P002",
            "slices": len(truth),
            "infected": int(truth.sum()),
            "left_out": {
                "slices": len(marked) - len(truth),
                "infected": int(marked.sum() - truth.sum()),
            },
            "map": told,
        },
    )


def write(name: str, command: str, content: dict[str, Any]) -> None:
    """A result file with the command that made it."""
    text = json.dumps(plain({"command": command, **content}), indent=1, ensure_ascii=False)
    atomic_write(HERE / "results" / f"{name}.json", text + "\n")


def save(name: str, arrays: dict[str, Any]) -> None:
    """Keep arrays as runs/detection/NAME.npz."""
    with atomic_path(KEPT / f"{name}.npz") as temporary:
        np.savez_compressed(temporary, **arrays)


def load(name: str) -> dict[str, np.ndarray]:
    """What ``save`` kept."""
    with np.load(KEPT / f"{name}.npz", allow_pickle=False) as kept:
        return dict(kept)


if __name__ == "__main__":
    steps = {f.__name__: f for f in (slices, maps, measure, figure, patient)}
    asked = sys.argv[1:]
    if not asked or set(asked) - set(steps):
        sys.exit(f"usage: python experiments/detection.py {' '.join(steps)}")
    for step in asked:
        steps[step](data_root())
