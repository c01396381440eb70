"""Draw the figures of docs/method.md.

    python experiments/figures.py networks              # the schematics
    python experiments/figures.py collect curves        # the curves of pre-training
    python experiments/figures.py pictures              # what it filled in, over time

"collect" gathers the logs of finished pre-trainings under runs/ into a result file, "curves" draws
that file. "pictures" needs the run on all slices, from which the picture is made:

    lungscore pretrain experiments/benchmark/coach-50-ours-pretraining.yaml --seed 0
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from lungscore.files import atomic_path, atomic_write
from lungscore.learning.pictures import GAP
from schematics import INK, draw_multi, draw_pretraining, draw_single

HERE = Path(__file__).parent
FIGURES = HERE.parent / "docs" / "figures"
CURVES = HERE / "results" / "benchmark" / "pretraining-curves.json"
RUNS = Path("runs")

#: The pre-training that is drawn, and its former name in result files.
DRAWN, FORMERLY = "coach-50-ours-pretraining", "coach-50-pretraining"

#: The curves' columns in a run's log, and what the figure calls them.
COLUMNS = {
    "coach_mask_error": "under the coach's mask",
    "random_mask_error": "under a random mask of the same share",
}
#: The run whose pictures are shown, and after which epochs.
SHOWN, EPOCHS = RUNS / DRAWN / "all-seed0", (1, 2, 4, 8, 12)


def networks() -> None:
    """The schematics of the networks and of pre-training."""
    draw_single(FIGURES / "inf-net.png")
    draw_multi(FIGURES / "two-stages.png")
    draw_pretraining(FIGURES / "pretraining.png")


def collect() -> None:
    """Logs of the finished folds of every pre-training, as one result file."""
    logs: dict[str, dict[str, list[dict[str, float]]]] = {}
    for log in sorted(RUNS.glob("*-pretraining/fold*-seed0/log.csv")):
        if not (log.parent / "weights.safetensors").is_file():
            continue  # still running
        logs.setdefault(log.parent.parent.name, {})[log.parent.name] = read_log(log)
    if not logs:
        sys.exit("no finished pre-training under runs/: lungscore benchmark run makes them")
    result = {
        "command": "python experiments/figures.py collect",
        "what": "every epoch's log of the pre-trainings, one run a fold (seed 0); errors are of "
        "normalised grey levels, squared, where the image was erased",
        "coach_over_random": {
            name: hardness(runs)
            for name, runs in logs.items()
            if "coach_mask_error" in next(iter(runs.values()))[0]
        },
        "runs": logs,
    }
    atomic_write(CURVES, json.dumps(result, indent=1) + "\n")


def read_log(log: Path) -> list[dict[str, float]]:
    """The epochs of a log.csv; durations, which differ from run to run, are left out."""
    with log.open(encoding="utf-8", newline="") as lines:
        return [
            {name: float(value) for name, value in row.items() if name != "seconds"}
            for row in csv.DictReader(lines)
        ]


def hardness(runs: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    """How much larger the error is under the coach's masks, in the second half of the epochs.

    Smallest and largest ratio over epochs and folds.
    """
    ratios = [
        row["coach_mask_error"] / row["random_mask_error"]
        for rows in runs.values()
        for row in rows[len(rows) // 2 :]
    ]
    return {"smallest": min(ratios), "largest": max(ratios), "folds": len(runs)}


def mean_and_range(
    runs: dict[str, list[dict[str, float]]], column: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of a column, per epoch: mean, smallest and largest over the folds."""
    values = np.array([[row[column] for row in rows] for rows in runs.values()])
    return values.mean(axis=0), values.min(axis=0), values.max(axis=0)


def curves() -> None:
    """Errors of our pre-training by epoch, from the result file; floors where it has them."""
    stored = json.loads(CURVES.read_text(encoding="utf-8"))["runs"]
    runs = stored.get(DRAWN) or stored[FORMERLY]
    share, *_ = mean_and_range(runs, "erased_share")
    epochs = np.arange(1, len(share) + 1)
    figure = Figure(figsize=(11, 4.3), dpi=130, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    draw_curve(left, epochs, mean_and_range(runs, "erased_error"), colour="#222222", marker="s")
    left.set_title("while training, as the masks grow", loc="left", size=14)
    styles = (("#a9487f", "o"), ("#0072b2", "^"))
    for (column, label), (colour, marker) in zip(COLUMNS.items(), styles, strict=True):
        draw_curve(right, epochs, mean_and_range(runs, column), colour=colour, marker=marker)
        right.plot([], [], color=colour, marker=marker, label=label)
        floor = column.replace("_error", "_floor")
        if floor in next(iter(runs.values()))[0]:
            values = mean_and_range(runs, floor)[0]
            right.plot(epochs, values, color=colour, linestyle=":", label="plain Laplace filling")
    right.set_title("after each epoch, the same slices erased twice", loc="left", size=14)
    right.set_yscale("log")
    right.set_yticks([0.3, 1, 3, 10], ["0.3", "1", "3", "10"])
    right.minorticks_off()
    right.legend(frameon=False, fontsize=12)
    for axes in (left, right):
        axes.set_xlabel("epoch (share of blocks that is erased)", size=13)
        ticks = epochs[:: max(1, len(epochs) // 4)]
        axes.set_xticks(ticks, [f"{e}\n({share[e - 1]:.0%})" for e in ticks])
    left.set_ylabel(f"squared error, mean of {len(runs)} folds", size=13)
    save(figure, FIGURES / "pretraining-curves.png")


def draw_curve(axes: Axes, epochs: np.ndarray, curve: tuple, *, colour: str, marker: str) -> None:
    """A mean with the range around it."""
    mean, low, high = curve
    axes.plot(epochs, mean, color=colour, marker=marker, linewidth=2, markersize=6)
    axes.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.tick_params(labelsize=12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd")


def pictures(run: Path = SHOWN, epochs: tuple[int, ...] = EPOCHS) -> None:
    """One slice of the phantom over the epochs of a run."""
    if not (run / "pictures" / f"epoch-{epochs[-1]:02d}.png").is_file():
        sys.exit(f"no pictures in {run}: lungscore pretrain draws them while it runs")
    rows = ("coach's mask", "filled in", "random mask", "filled in")
    pages = [read_parts(run / "pictures" / f"epoch-{epoch:02d}.png")[1] for epoch in epochs]
    height, width = pages[0].shape[1:]
    wide, tall, label, title = 2.1, 2.1 * height / width, 1.35, 0.4
    size = label + wide * len(epochs), title + tall * (len(rows) + 1)
    figure = Figure(figsize=size, dpi=110, facecolor="white")
    FigureCanvasAgg(figure)

    def show(image: np.ndarray, x: float, y: float) -> None:
        """With its lower left corner there, in inches."""
        where = (x / size[0], y / size[1], 0.98 * wide / size[0], 0.97 * tall / size[1])
        axes = figure.add_axes(where)
        axes.imshow(image, cmap="gray", vmin=0, vmax=255, aspect="auto")
        axes.set_axis_off()

    def say(text: str, x: float, y: float, **style) -> None:
        figure.text(x / size[0], y / size[1], text, size=15, color=INK, va="center", **style)

    above = len(rows) * tall + title
    show(pages[0][0], label, above)
    say("slice", label - 0.12, above + tall / 2, ha="right")
    for row, name in enumerate(reversed(rows)):
        say(name.replace(" ", "\n"), label - 0.12, (row + 0.5) * tall, ha="right")
    for column, (epoch, parts) in enumerate(zip(epochs, pages, strict=True)):
        x = label + column * wide
        say(f"epoch {epoch}", x + wide / 2, above - title / 2, ha="center")
        for row, image in enumerate(parts[:0:-1]):
            show(image, x, row * tall)
    save(figure, FIGURES / "pretraining-over-time.png")


def read_parts(path: Path) -> np.ndarray:
    """A run's picture cut up: (2 slices, 5 parts, H, W), see lungscore.learning.pictures."""
    page = np.pad(np.asarray(Image.open(path)), ((0, GAP), (0, GAP)))
    height, width = page.shape[0] // 2, page.shape[1] // 5
    parts = page.reshape(2, height, 5, width).transpose(0, 2, 1, 3)
    return parts[:, :, :-GAP, :-GAP]


def save(figure: Figure, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


STEPS = {step.__name__: step for step in (networks, collect, curves, pictures)}

if __name__ == "__main__":
    if not sys.argv[1:] or set(sys.argv[1:]) - set(STEPS):
        sys.exit(f"usage: python experiments/figures.py {'|'.join(STEPS)} …")
    for name in sys.argv[1:]:
        STEPS[name]()
