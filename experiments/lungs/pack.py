"""Pack the labelled scans as the lung network sees them: 8-bit pictures and labels, one file each.

    python experiments/lungs/pack.py DATA -o pack

Each NAME.npz holds the pictures as JPEG bytes (``jpeg``, cut at ``ends``), ``labels``
(n, 224, 224) uint8 (cohort.py), ``layer_mm`` and ``patient``. Pictures are a little larger than
the network's, so that they can be shifted and turned.
"""

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from cohort import HELD_OUT, SCANS, Labelled, airways_of, labelled_scan, medseg_slices, with_parts
from made_lungs import made_scans
from PIL import Image

from lungscore.anatomy.lung_view import LungView
from lungscore.files import atomic_path
from lungscore.scan.phantom import make_phantom
from lungscore.scan.phantom.make import FIELD_MM

SIZE, QUALITY = 224, 76
#: Phantoms for training; the figures of docs/anatomy.md come from seeds 0 to 7.
PHANTOM_SEEDS, ONE_LUNG_SEEDS, PHANTOM_SLICE_MM = range(100, 110), range(110, 112), 4.0


def phantoms() -> Iterator[Labelled]:
    """Healthy phantoms, some with one lung, nearly without noise; disease is made in training."""
    pixel = FIELD_MM[1] / 256
    shape = (round(FIELD_MM[0] / PHANTOM_SLICE_MM), 256, 256)
    spacing = (PHANTOM_SLICE_MM, pixel, pixel)
    for preset, seeds in (("healthy", PHANTOM_SEEDS), ("one-lung", ONE_LUNG_SEEDS)):
        for seed in seeds:
            case = make_phantom(preset, seed=seed, shape=shape, spacing_mm=spacing, noise_hu=4.0)
            labels = with_parts(case.scan, case.lungs, airways_of(case.scan))
            labels[case.lobes > 0] = case.lobes[case.lobes > 0]
            yield Labelled(f"phantom-{seed}", f"phantom-{seed}", case.scan, labels)


def cases(data: Path) -> Iterator[tuple[str, str, np.ndarray, np.ndarray, float]]:
    """Name, patient, pictures, labels and distance of the pictures, of everything there is."""
    real: dict[str, tuple[np.ndarray, np.ndarray, float]] = {}
    for name in SCANS:
        if name in HELD_OUT:
            continue
        case = labelled_scan(name, data)
        view = LungView.of(case.scan, size=SIZE)
        pictures, labels = view.pictures(case.scan), view.labels(case.labels)
        real[name] = pictures, labels, view.layer_mm
        yield name, case.patient, pictures, labels, view.layer_mm
    slices = list(medseg_slices(data))
    views = [LungView.of(case.scan, size=SIZE) for case in slices]
    pictures = np.concatenate([v.pictures(c.scan) for v, c in zip(views, slices, strict=True)])
    labels = np.concatenate([v.labels(c.labels) for v, c in zip(views, slices, strict=True)])
    yield "medseg", "medseg", pictures, labels, 1000.0
    for case in phantoms():
        view = LungView.of(case.scan, size=SIZE)
        yield (
            case.name,
            case.patient,
            view.pictures(case.scan),
            view.labels(case.labels),
            view.layer_mm,
        )
    yield from made_scans(data, real)


def save(path: Path, patient: str, pictures: np.ndarray, labels: np.ndarray, mm: float) -> None:
    encoded = []
    for picture in pictures:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=QUALITY)
        encoded.append(np.frombuffer(buffer.getvalue(), np.uint8))
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            jpeg=np.concatenate(encoded),
            ends=np.cumsum([len(data) for data in encoded]),
            labels=labels,
            layer_mm=mm,
            patient=patient,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, patient, pictures, labels, layer_mm in cases(arguments.data):
        path = arguments.out / f"{name}.npz"
        save(path, patient, pictures, labels, layer_mm)
        print(
            f"{name}: {len(pictures)} pictures, {path.stat().st_size / 2**20:.2f} MiB", flush=True
        )


if __name__ == "__main__":
    main()
