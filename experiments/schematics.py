"""The schematics of docs/method.md: boxes and arrows, drawn in inches."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from lungscore.files import atomic_path
from lungscore.labels import CONSOLIDATION, GGO
from lungscore.learning.pictures import CHOSEN, PHANTOM_SHAPE
from lungscore.networks.probabilities import GREY_MEAN
from lungscore.scan.phantom import make_phantom
from lungscore.scan.window import window

#: Okabe and Ito's colours, which colour-blind people tell apart: line and fill of a kind of box.
BLUE, ORANGE, GREEN, PINK, GREY = (
    ("#0072b2", "#dcecf7"),
    ("#c65d00", "#fbe7d3"),
    ("#007f5c", "#d9f0e8"),
    ("#a9487f", "#f6e3ee"),
    ("#4d4d4d", "#f2f2f2"),
)
INK = "#222222"
#: Side of a block of the drawn mask, in pixels.
BLOCK = 16
DOTS_PER_INCH = 130


@dataclass(frozen=True)
class Box:
    """A box about (x, y), and the middles of its sides."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> tuple[float, float]:
        return self.x - self.width / 2, self.y

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y

    @property
    def top(self) -> tuple[float, float]:
        return self.x, self.y + self.height / 2

    @property
    def bottom(self) -> tuple[float, float]:
        return self.x, self.y - self.height / 2


class Schematic:
    """A figure of so many inches whose coordinates are inches from its lower left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor="white")
        FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(0, height))
        self.axes.set_axis_off()

    def box(
        self,
        title: str,
        at: tuple[float, float],
        size: tuple[float, float],
        *,
        colours: tuple[str, str],
        note: str = "",
    ) -> Box:
        """A box with a bold title and, below it, a note of one line."""
        box = Box(*at, *size)
        self.axes.add_patch(
            FancyBboxPatch(
                (box.left[0], box.bottom[1]), box.width, box.height,
                boxstyle="round,pad=0,rounding_size=0.08",
                edgecolor=colours[0], facecolor=colours[1], linewidth=1.8, zorder=3,
            )
        )  # fmt: skip
        self.text(title, (box.x, box.y + (0.13 if note else 0)), size=14, weight="bold")
        self.text(note, (box.x, box.y - 0.15 - 0.11 * title.count("\n")), size=12.5)
        return box

    def text(self, text: str, at: tuple[float, float], **style) -> None:
        """Text about a point, unless ``style`` aligns it otherwise."""
        defaults = {"size": 12, "ha": "center", "va": "center", "color": INK, "zorder": 4}
        self.axes.text(*at, text, **(defaults | {"linespacing": 1.25} | style))

    def arrow(self, *points: tuple[float, float], colour: str = INK, dashed: bool = False) -> None:
        """A line through ``points`` that ends in an arrow's head."""
        xs, ys = zip(*points, strict=True)
        style = (0, (4, 2.5)) if dashed else "-"
        self.axes.plot(xs[:-1], ys[:-1], color=colour, linewidth=1.8, linestyle=style, zorder=2)
        self.axes.annotate(
            "", points[-1], points[-2], zorder=2,
            arrowprops={
                "arrowstyle": "-|>,head_width=0.28,head_length=0.55", "color": colour,
                "linewidth": 1.8, "linestyle": style, "shrinkA": 0, "shrinkB": 0,
            },
        )  # fmt: skip

    def line(self, *points: tuple[float, float], colour: str = INK) -> None:
        """A line without a head."""
        self.axes.plot(*zip(*points, strict=True), color=colour, linewidth=1.8, zorder=2)

    def picture(self, image: np.ndarray, at: tuple[float, float], width: float) -> Box:
        """Grey levels 0…1 (H, W) or colours (H, W, 3) about a point."""
        box = Box(*at, width, width * image.shape[0] / image.shape[1])
        where = (box.left[0], box.right[0], box.bottom[1], box.top[1])
        shown = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
        self.axes.imshow(shown, extent=where, aspect="auto", zorder=3, interpolation="antialiased")
        self.axes.plot(
            [where[0], where[1], where[1], where[0], where[0]],
            [where[2], where[2], where[3], where[3], where[2]],
            color=GREY[0], linewidth=1, zorder=4,
        )  # fmt: skip
        # imshow takes the axes for its own.
        width_inches, height_inches = self.figure.get_size_inches()
        self.axes.set(xlim=(0, width_inches), ylim=(0, height_inches))
        return box

    def save(self, path: Path) -> None:
        """Write a PNG, whole or not at all."""
        with atomic_path(path) as temporary:
            self.figure.savefig(temporary, format="png", metadata={"Software": None})


def draw_single(path: Path) -> None:
    """Inf-Net for infection: down the encoder, left to a coarse map, right up to the fine one, and
    our finer stage beyond.
    """
    s = Schematic(15.9, 7.2)
    image, _, _ = _phantom()
    rows = {"1/4": 4.95, "1/8": 3.85, "1/16": 2.75, "1/32": 1.65}
    shown = s.picture(image, (6.35, 6.45), 1.9)
    s.text("slice", (shown.left[0] - 0.15, shown.y), ha="right", size=13)
    stages = {}
    for (scale, y), width in zip(rows.items(), (2.3, 2.0, 1.7, 1.4), strict=True):
        title = "encoder" if scale == "1/4" else scale
        note = "1/4 of the size" if scale == "1/4" else ""
        stages[scale] = s.box(title, (6.35, y), (width, 0.75), colours=BLUE, note=note)
    for above, below in pairwise([shown, *stages.values()]):
        s.arrow(above.bottom, below.top)

    decoder = s.box("partial\ndecoder", (1.1, 2.75), (1.6, 2.95), colours=GREEN)
    for scale in list(rows)[1:]:
        block = s.box("receptive-\nfield block", (3.6, rows[scale]), (1.75, 0.75), colours=GREEN)
        s.arrow(stages[scale].left, block.right)
        s.arrow(block.left, (decoder.right[0], rows[scale]))
    coarse = s.box("$S_g$", (1.1, 0.5), (1.6, 0.72), colours=GREY, note="coarse map")
    s.arrow(decoder.bottom, coarse.top)

    edges = s.box(
        "edge attention", (9.3, rows["1/4"]), (2.3, 0.75), colours=ORANGE, note="lesions' borders"
    )
    s.arrow(stages["1/4"].right, edges.left)
    s.arrow(edges.right, s.box("edge", (12.0, rows["1/4"]), (1.6, 0.72), colours=GREY).left)
    bus, start, turn = 7.8, edges.left[0] + 0.3, (rows["1/4"] + rows["1/8"]) / 2
    s.line((start, edges.bottom[1]), (start, turn), (bus, turn), (bus, rows["1/32"] + 0.2),
           colour=ORANGE[0])  # fmt: skip

    s.line(coarse.right, (9.3, coarse.y), colour=PINK[0])
    s.text("the map so far", (5.2, coarse.y + 0.18), color=PINK[0], size=12.5)
    below = (9.3, coarse.y)
    for scale, name in (("1/32", "$S_5$"), ("1/16", "$S_4$"), ("1/8", "$S_3$")):
        y = rows[scale]
        stage = s.box(
            "reverse attention", (9.3, y), (2.3, 0.75), colours=PINK, note="what is left?"
        )
        s.arrow((stages[scale].right[0], y - 0.15), (stage.left[0], y - 0.15))
        s.arrow((bus, y + 0.2), (stage.left[0], y + 0.2), colour=ORANGE[0])
        s.arrow(below, stage.bottom, colour=PINK[0])
        note = "the prediction" if name == "$S_3$" else ""
        prediction = s.box(name, (12.0, y), (1.6, 0.72), colours=GREY, note=note)
        s.arrow(stage.right, prediction.left)
        below = stage.top
    finer = s.box("finer stage", (14.5, rows["1/8"]), (2.1, 0.75), colours=PINK, note="ours")
    s.arrow(prediction.right, finer.left, colour=PINK[0])
    s.arrow(shown.right, (finer.x, shown.y), finer.top)
    s.text("the slice itself", (12.0, shown.y + 0.18), size=12.5)
    last = s.box("$S_1$", (14.5, rows["1/16"]), (2.1, 0.72), colours=GREY, note="a logit a pixel")
    s.arrow(finer.bottom, last.top)
    s.text(
        "In training, every grey box is\ncompared with the annotation.",
        (11.3, 0.55),
        style="italic",
    )
    s.save(path)


def draw_multi(path: Path) -> None:
    """The stage that tells GGO from consolidation: as published, and ours."""
    s = Schematic(13, 6.3)
    image, infection, classes = _phantom()
    middle, top, low = 3.5, 5.25, 1.45
    slice_ = s.picture(image, (1.2, middle), 1.9)
    s.text("slice", (slice_.x, slice_.top[1] + 0.2), size=13)
    single = s.box("Inf-Net", (3.75, middle), (1.9, 0.9), colours=BLUE, note="finds infection")
    s.arrow(slice_.right, single.left)
    prior = s.picture(infection, (6.2, middle), 1.9)
    s.text("prior", (prior.x - 0.45, prior.top[1] + 0.2), size=13)
    s.arrow(single.right, prior.left)

    published = s.box(
        "U-Net", (8.75, top), (3.4, 0.9), colours=ORANGE, note="grey and prior, three times each"
    )
    ours = s.box(
        "Inf-Net, three classes", (8.75, low), (3.4, 0.9), colours=GREEN,
        note="grey and prior, once each",
    )  # fmt: skip
    prediction = s.picture(classes, (11.75, middle), 1.9)
    for box in (published, ours):
        up = box is published
        for picture, x, y in ((slice_, 0.6, box.y + 0.22), (prior, prior.x, box.y - 0.22)):
            start = (x, (picture.top if up else picture.bottom)[1])
            s.arrow(start, (x, y), (box.left[0], y))
        s.arrow(box.right, (prediction.x, box.y), prediction.top if up else prediction.bottom)
    s.arrow(single.bottom, (single.x, low), ours.left, dashed=True, colour=GREEN[0])
    s.text("starts with its weights", (single.x - 0.15, low + 0.75), color=GREEN[0], ha="right")
    s.text(
        "background,\nGGO (blue) or\nconsolidation\n(orange)", (10.65, middle), ha="right", size=13
    )

    s.text("as published", (published.x, top + 0.67), size=15, weight="bold", color=ORANGE[0])
    s.text(
        "three sigmoids, of which the largest wins;\nin training, the annotation is the prior",
        (7.05, top - 0.78), ha="left",
    )  # fmt: skip
    s.text("ours", (ours.x, low + 0.67), size=15, weight="bold", color=GREEN[0])
    s.text(
        "softmax at four depths, and the edge;\nin training, the prior is what a network found\n"
        "that had not seen the slice",
        (7.05, low - 0.88), ha="left",
    )  # fmt: skip
    s.save(path)


def draw_pretraining(path: Path) -> None:
    """Inpainting under a coach's masks."""
    s = Schematic(13, 6.0)
    image, _, _ = _phantom()
    image = image[: image.shape[0] // BLOCK * BLOCK, : image.shape[1] // BLOCK * BLOCK]
    grid = [side // BLOCK for side in image.shape]
    blocks = np.random.default_rng(5).random(grid) > 0.35
    mask = np.kron(blocks, np.ones((BLOCK, BLOCK)))
    erased = image * mask + GREY_MEAN * (1 - mask)

    top, middle, low = 4.5, 3.0, 1.55
    x = s.picture(image, (1.2, top), 1.9)
    s.text("slice $x$", (1.45, x.top[1] + 0.22), size=14)
    times = s.box("×", (3.0, top), (0.5, 0.5), colours=GREY)
    seen = s.picture(erased, (4.8, top), 1.9)
    s.text(r"$x \odot M$", (seen.x, seen.top[1] + 0.22), size=14)
    network = s.box("network", (7.45, top), (2.0, 0.95), colours=BLUE, note="with linear heads")
    reconstruction = s.box("reconstruction", (10.0, top), (1.95, 0.7), colours=GREY)
    errors = s.box(
        "error", (11.7, middle), (2.3, 0.95), colours=GREY, note="where erased: $L_{rec}$"
    )
    for before, after in pairwise([x, times, seen, network, reconstruction]):
        s.arrow(before.right, after.left)
    s.arrow(reconstruction.right, (11.5, top), (11.5, errors.top[1]))
    s.arrow((0.6, x.top[1]), (0.6, 5.7), (12.3, 5.7), (12.3, errors.top[1]))

    coach = s.box("coach", (5.6, low), (2.2, 0.95), colours=PINK, note="scores every block")
    keep = s.picture(mask, (3.0, low), 1.5)
    s.text("mask $M$: the highest\nshare $k$ is kept", (keep.x, keep.bottom[1] - 0.34), size=12.5)
    s.arrow(coach.left, keep.right, colour=PINK[0])
    s.arrow(keep.top, times.bottom, colour=PINK[0])
    s.arrow((0.6, x.bottom[1]), (0.6, 0.25), (coach.x, 0.25), coach.bottom)

    s.arrow(errors.left, (network.x, middle), network.bottom, colour=BLUE[0], dashed=True)
    s.text("less error: trains the network", (9.0, middle + 0.2), color=BLUE[0], size=12.5)
    s.arrow(errors.bottom, (errors.x, low), coach.right, colour=PINK[0], dashed=True)
    s.text(r"more error: trains the coach, $L_{coach} = 1 - L_{rec}$", (9.2, low + 0.22),
           color=PINK[0], size=12.5)  # fmt: skip
    s.text(
        "Afterwards the linear heads go and the segmentation heads\n"
        "return; all the rest keeps what it has learned.",
        (9.6, 0.72), style="italic", size=12.5,
    )  # fmt: skip
    s.save(path)


def _phantom() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A slice of the phantom cut to its lungs: grey (H, W), infection (H, W), colours (H, W, 3)."""
    phantom = make_phantom("moderate", shape=PHANTOM_SHAPE)
    index = CHOSEN[1]
    lungs = phantom.lungs[index] > 0
    rows, columns = np.flatnonzero(lungs.any(axis=1)), np.flatnonzero(lungs.any(axis=0))
    where = np.s_[rows[0] - 3 : rows[-1] + 4, columns[0] - 3 : columns[-1] + 4]
    grey = window(phantom.scan.values[index][where], -1350, 150)
    lesions = phantom.lesions[index][where]
    colours = np.repeat(grey[..., None], 3, axis=2)
    colours[lesions == GGO] = (0.34, 0.71, 0.91)
    colours[lesions == CONSOLIDATION] = (0.90, 0.62, 0.0)
    return grey, (lesions > 0).astype(np.float32), colours
