"""How one slice looks to a network, in a few numbers."""

import numpy as np

#: statistic -> what it is, as a reader of the report understands it.
STATISTICS = {
    "darkest": "how dark the lungs are",
    "tissue": "how bright the tissue is",
    "brightest": "how bright the brightest parts are",
    "layout": "how much brighter the middle is than the lungs beside it",
    "noise": "how noisy they are",
    "edges": "how sharp the edges are",
    "black": "how much is plain black",
}

#: Up to this grey level a pixel is plain black: the window's lower end.
_BLACK = 0.002


def look(grey: np.ndarray) -> dict[str, float]:
    """STATISTICS of a slice (H, W) as the network sees it, float32 grey levels 0…1.

    darkest, tissue, brightest: 5th, 75th and 95th percentile. layout, noise and edges are in parts
    of the contrast, the last less the first. layout: the median of the middle columns minus that of
    the columns over the lungs, at mid height. noise: median of the absolute Laplacian. edges: 99th
    percentile of the step between neighbours in a row. black: a share.
    """
    few = grey[::2, ::2]
    dark, tissue, bright = (float(value) for value in np.percentile(few, (5, 75, 95)))
    contrast = max(bright - dark, 1e-6)
    centre = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    steps = np.abs(np.diff(grey[::2], axis=1))
    rows = few[len(few) * 3 // 10 : max(len(few) * 7 // 10, len(few) * 3 // 10 + 1)]
    right, left = (_columns(rows, *where) for where in ((0.14, 0.34), (0.66, 0.86)))
    beside = np.median(np.concatenate([right, left], axis=1))
    return {
        "darkest": dark,
        "tissue": tissue,
        "brightest": bright,
        "layout": float(np.median(_columns(rows, 0.46, 0.54)) - beside) / contrast,
        "noise": float(np.median(np.abs(4 * centre - around))) / contrast,
        "edges": float(np.percentile(steps, 99)) / contrast,
        "black": float((few <= _BLACK).mean()),
    }


def _columns(rows: np.ndarray, first: float, last: float) -> np.ndarray:
    """The columns between two fractions of the width; at least one."""
    width = rows.shape[1]
    start = int(first * width)
    return rows[:, start : max(int(last * width), start + 1)]
