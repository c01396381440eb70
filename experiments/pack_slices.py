"""Pack the slices that experiments/timed_stages.py trains on, and ImageNet's encoders, small.

    python experiments/pack_slices.py pack --encoders DIR/lite0.safetensors DIR/lite2.safetensors

The annotated slices are packed without loss; slices without labels as WebP. Of the unlabelled
slices every second is taken, as neighbours hardly differ.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from lungscore.anatomy import find_lungs, slice_boxes
from lungscore.datasets import covid_semiseg, medseg
from lungscore.datasets.healthy import part_of
from lungscore.datasets.images import read_indices
from lungscore.datasets.training_slices import data_root
from lungscore.errors import InputError
from lungscore.learning.timed.encoders import write_encoders
from lungscore.learning.timed.pack import (
    HEIGHT,
    HIGHEST_HU,
    LOWEST_HU,
    WIDTH,
    Pool,
    Row,
    picture,
    write_pack,
)
from lungscore.scan import Scan, read_scan
from lungscore.scan.window import crop, network_boxes, resize

#: Quality of WebP; every how many of the unlabelled slices; slices of a volume from elsewhere.
QUALITY, EVERY, OF_A_VOLUME = 72, 2, 16
#: In what size unlabelled and other windows' slices are packed: that of the networks' input.
SMALL = (256, 320)
#: Volumes from elsewhere whose lung masks were looked at and are right: lesions are made in these.
RIGHT_LUNGS = ("lidc767", "gomez", "stecolon", "stesarc")

Packed = tuple[Row, dict[str, bytes]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoders", type=Path, nargs="*", default=[])
    parser.add_argument("--every", type=int, default=EVERY)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    root = data_root()
    rows: list[Row] = []
    files: dict[str, bytes] = {}
    for packed in (
        _annotated(root),
        _other_window(root),
        _healthy(root),
        _elsewhere(root),
        _unlabelled(root, arguments.every),
    ):
        before, size = len(rows), sum(map(len, files.values()))
        for row, more in packed:
            rows.append(row)
            files |= more
        added = sum(map(len, files.values())) - size
        print(f"{rows[-1].pool}: {len(rows) - before} slices, {added / 2**20:.2f} MiB", flush=True)
    write_pack(arguments.folder / "slices.zip", rows, files)
    if arguments.encoders:
        write_encoders(arguments.folder / "encoders.safetensors", arguments.encoders)


def _annotated(root: Path) -> Iterator[Packed]:
    """The published crops, byte for byte, and their classes."""
    folder = root / "covid-semiseg/TrainingSet"
    for name, image in covid_semiseg.image_files(root / "covid-semiseg", "train").items():
        label = folder / "MultiClassInfection-Train/GT" / f"{name}.png"
        classes = read_indices(label, allowed=(0, 1, 2))
        lungs = _lungs_of(image) | (classes > 0)
        yield _row(
            name,
            "annotated",
            image.suffix,
            {"image": image.read_bytes(), "classes": _png(classes), "lungs": _mask(lungs)},
            turned=True,
        )


def _other_window(root: Path) -> Iterator[Packed]:
    folder = root / "medseg-slices"
    lungs = {s.name: _lungs_of(folder / "images" / f"{s.name}.png") for s in _crops(root)}
    boxes = medseg.training_boxes(folder, margin=0.1)
    for sample in _crops(root):
        assert sample.lesions is not None
        inside = crop(lungs[sample.name], boxes[sample.name]) | (sample.lesions > 0)
        yield _row(
            sample.name,
            "other-window",
            ".png",
            {
                "image": _png(_small(sample.image, *SMALL)),
                "classes": _png(_small_classes(sample.lesions)),
                "lungs": _mask(_small(255 * inside) > 127),
            },
        )


def _crops(root: Path):
    return medseg.load_training_crops(root / "medseg-slices")


def _healthy(root: Path) -> Iterator[Packed]:
    scan = read_scan(root / "covid-ct-md/normal002")
    slices = list(_of_volume(scan))
    indices = np.arange(len(slices))
    cranial = set(part_of(indices, "cranial").tolist())
    for index, (image, lungs) in enumerate(slices):
        half = "cranial" if index in cranial else "caudal"
        yield _hu_row(f"normal002-{index:03d}", "healthy", image, lungs, part=half)


def _elsewhere(root: Path) -> Iterator[Packed]:
    for path in sorted((root / "wild-ct").glob("*.nii.gz")):
        name = path.name.removesuffix(".nii.gz")
        slices = list(_of_volume(read_scan(path)))
        for index in np.unique(np.linspace(0, len(slices) - 1, OF_A_VOLUME).astype(int)):
            image, lungs = slices[index]
            row, files = _hu_row(f"{name}-{index:03d}", "elsewhere", image, lungs, volume=name)
            yield row if name in RIGHT_LUNGS else replace(row, lungs=None), files


def _unlabelled(root: Path, every: int) -> Iterator[Packed]:
    names = covid_semiseg.unlabelled_names(root / "covid-semiseg")[::every]
    folder = root / "covid-semiseg/TrainingSet/LungInfection-Train/Pseudo-label/Imgs"
    paths = {path.stem: path for path in folder.iterdir()}
    for sample in covid_semiseg.load_unlabelled(root / "covid-semiseg", names):
        lungs = _lungs_of(paths[sample.name]).T
        yield _row(
            sample.name,
            "unlabelled",
            ".webp",
            {
                "image": _webp(_small(sample.image, *SMALL)),
                "lungs": _mask(_small(255 * lungs) > 127),
            },
            volume=sample.patient,
        )


def _of_volume(scan: Scan) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """HU and lungs of every slice with lung, in the box in which a network sees it."""
    lungs = find_lungs(scan)
    boxes = network_boxes(slice_boxes(lungs.labels), margin=0.1)
    for index in np.flatnonzero(boxes[:, 1] > boxes[:, 0]):
        box = tuple(int(edge) for edge in boxes[index])
        yield crop(scan.values[index], box), crop(lungs.labels[index] > 0, box)


def _lungs_of(path: Path) -> np.ndarray:
    """Lungs of a lone slice as it is stored; none where none are found."""
    scan = read_scan(path)
    try:
        return find_lungs(scan).labels[0] > 0
    except InputError:
        return np.zeros(scan.shape[1:], bool)


def _hu_row(name: str, pool: Pool, image: np.ndarray, lungs: np.ndarray, **facts: str) -> Packed:
    levels = 255 * (image.astype(np.float32) - LOWEST_HU) / (HIGHEST_HU - LOWEST_HU)
    files = {"image": _webp(_small(levels)), "lungs": _mask(_small(255 * lungs) > 127)}
    return _row(name, pool, ".webp", files, hu=True, **facts)


def _row(name: str, pool: Pool, suffix: str, files: dict[str, bytes], **facts: object) -> Packed:
    paths = {key: f"{pool}/{name}{suffix if key == 'image' else f'.{key}.png'}" for key in files}
    row = Row(name, pool, **paths, **facts)  # type: ignore[arg-type]
    return row, {paths[key]: content for key, content in files.items()}


def _small(image: np.ndarray, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    values = resize(image.astype(np.float32), height, width)
    return np.floor(values.clip(0, 255) + 0.5).astype(np.uint8)


def _small_classes(classes: np.ndarray) -> np.ndarray:
    infected, dense = (_small(255 * (classes >= least)) > 127 for least in (1, 2))
    return (infected.astype(np.uint8) + (infected & dense)).astype(np.uint8)


def _webp(image: np.ndarray) -> bytes:
    return picture(image, "WEBP", quality=QUALITY, method=6)


def _mask(mask: np.ndarray) -> bytes:
    """A PNG of a bit a pixel."""
    return picture(np.ascontiguousarray(mask, bool), "PNG", optimize=True)


def _png(image: np.ndarray) -> bytes:
    return picture(np.ascontiguousarray(image, np.uint8), "PNG", optimize=True)


if __name__ == "__main__":
    main()
