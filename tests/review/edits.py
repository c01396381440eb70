"""Random edits of a case, as a reader would make them in a browser."""

import numpy as np

from lungscore.review.masks import Masks
from lungscore.review.planes import picture_shape

TOOLS = ("brush", "eraser", "lasso", "component", "keep_hu", "smooth", "copy", "clear", "fill")


def random_edit(generator: np.random.Generator, masks: Masks, version: int) -> dict:
    """The body of an edit that the server should take; what it does may be nothing."""
    tool = str(generator.choice(TOOLS))
    layer = str(generator.choice(["lesions", "lesions", "lesions", *masks.layers]))
    depth = len(masks.lungs)
    first = int(generator.integers(0, depth))
    last = min(depth - 1, first + int(generator.integers(0, 4)))
    if tool in ("brush", "eraser", "lasso"):
        return _painted(generator, masks, tool, layer, version)
    if tool == "component":
        places = np.argwhere(masks.layers[layer] > 0)
        at = places[generator.integers(0, len(places))].tolist() if len(places) else [0, 0, 0]
        label = int(generator.integers(0, 2)) if layer == "lesions" else 0
        # Whole lungs and lobes are not removed by a click here: little would be left to test.
        if layer != "lesions":
            return {"tool": "smooth", "layer": layer, "slices": [first, last], "version": version}
        return {"tool": tool, "layer": layer, "at": at, "label": label, "version": version}
    if tool == "keep_hu":
        return {"tool": tool, "scope": "slice", "index": first, "version": version}
    if tool == "copy":
        add = bool(generator.integers(0, 2))
        return {"tool": tool, "layer": layer, "from": first, "to": last, "add": add} | {
            "version": version
        }
    if (
        tool == "fill"
        and first != last
        and masks.lesions[first].any()
        and masks.lesions[last].any()
    ):
        return {"tool": "fill_between", "slices": [first, last], "version": version}
    if tool == "clear":
        return {"tool": tool, "layer": "lesions", "slices": [first, last], "version": version}
    return {"tool": "smooth", "layer": layer, "slices": [first, last], "version": version}


def _painted(
    generator: np.random.Generator, masks: Masks, tool: str, layer: str, version: int
) -> dict:
    """A disc in a picture of a plane that shows lung."""
    plane = str(generator.choice(["axial", "coronal", "sagittal"]))
    _, rows, columns = picture_shape(plane, masks.shape)
    places = np.argwhere(masks.lungs > 0)
    z, y, x = places[generator.integers(0, len(places))].tolist()
    index, row, column = {"axial": (z, y, x), "coronal": (y, z, x), "sagittal": (x, z, y)}[plane]
    radius = int(generator.integers(1, 8))
    runs = []
    for r in range(max(0, row - radius), min(rows, row + radius + 1)):
        half = int((radius**2 - (r - row) ** 2) ** 0.5)
        start, stop = max(0, column - half), min(columns, column + half + 1)
        runs.append([r * columns + start, stop - start])
    highest = {"lesions": 2, "lungs": 2, "lobes": 5}[layer]
    label = 0 if tool == "eraser" else int(generator.integers(1, highest + 1))
    picture = {"index": index, "runs": runs}
    edit = {"tool": tool, "layer": layer, "plane": plane, "label": label, "slices": [picture]}
    return {**edit, "version": version}
