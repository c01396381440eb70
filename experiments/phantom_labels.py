"""Images and masks of people who do not exist, laid out as one's own data are (docs/training.md).

    python experiments/phantom_labels.py FOLDER --patients 40

Every patient gives one axial slice through the middle of his lesions, as an 8-bit picture in a lung
window, with his infection as a mask. Healthy patients give a negative slice.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lungscore.datasets.my_data import TABLE
from lungscore.files import atomic_path, atomic_write, csv_text
from lungscore.labels import CONSOLIDATION, GGO
from lungscore.scan.phantom import Phantom, make_phantom
from lungscore.scan.window import window

#: Diseases of the patients, in turn.
PRESETS = ("several-patches", "many-patches", "dense")

#: The window of the pictures in Hounsfield units.
WINDOW_HU = (-1250.0, 250.0)

#: (slices, rows, columns) of a phantom.
SHAPE = (16, 128, 128)


def write_phantoms(
    folder: Path,
    *,
    patients: int,
    healthy: int = 0,
    first: int = 0,
    presets: Sequence[str] = PRESETS,
    shape: tuple[int, int, int] = SHAPE,
) -> None:
    """Write images/, masks/ and cases.csv of so many ill and healthy patients, numbered from first.

    The slice of a patient is the one with most infection, or the middle one. All of them train.
    """
    rows = []
    for index in range(patients + healthy):
        ill = index < patients
        preset = presets[index % len(presets)] if ill else "healthy"
        phantom = make_phantom(preset, seed=first + index, shape=shape)
        name = f"phantom-{first + index:03d}.png"
        _write_slice(phantom, folder, name, with_mask=ill)
        rows.append((f"images/{name}", f"patient-{first + index}", "train", "" if ill else "yes"))
    atomic_write(folder / TABLE, csv_text(("image", "patient", "group", "negative"), rows))


def _write_slice(phantom: Phantom, folder: Path, name: str, *, with_mask: bool) -> None:
    marked = np.isin(phantom.lesions, (GGO, CONSOLIDATION))
    areas = marked.sum(axis=(1, 2))
    index = int(areas.argmax()) if areas.any() else len(areas) // 2
    grey = (255 * window(phantom.scan.values[index], *WINDOW_HU)).round().astype(np.uint8)
    pictures = {"images": grey}
    if with_mask:
        pictures["masks"] = (255 * marked[index]).astype(np.uint8)
    for role, picture in pictures.items():
        with atomic_path(folder / role / name) as temporary:
            Image.fromarray(picture).save(temporary)


def main() -> None:
    """Write the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--patients", type=int, default=40)
    parser.add_argument("--healthy", type=int, default=0)
    arguments = parser.parse_args()
    write_phantoms(arguments.folder, patients=arguments.patients, healthy=arguments.healthy)


if __name__ == "__main__":
    main()
