"""How steady infection is from slice to slice, slice by slice and averaged with neighbours.

    python experiments/flicker.py [--model BUNDLE] [--patient] [-o FILE]

Of every volume at hand: the infected percent of the lungs, and the shares of infection that vanish
and are back within two slices, or are in one slice alone (evaluation/flicker.py), each slice read
by itself ("alone") and as ``analyze`` reads it ("steadied"). Of phantoms, whose lesions are known,
at three slice distances also the Dice with the truth: averaging must not cost accuracy. Volumes
without positions are not averaged, and are listed all the same.

--patient adds the patient that chooses nothing (docs/looks.md). Needs LUNGSCORE_DATA.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.anatomy import Lungs, lung_field
from lungscore.datasets.training_slices import data_root
from lungscore.evaluation.flicker import Flicker, flicker
from lungscore.evaluation.metrics import dice
from lungscore.evaluation.results import plain
from lungscore.files import atomic_write
from lungscore.inference import Segmenter, load_bundle
from lungscore.inference.readings import THRESHOLD
from lungscore.inference.segment import find_lungs_of
from lungscore.inference.steadiness import FARTHEST_MM, SPREAD_MM, SliceMaps, steadied
from lungscore.scan import Scan, read_scan
from lungscore.scan.phantom import make_phantom
from lungscore.severity.gaps import gaps_between_infected

OUT = Path(__file__).parent / "results" / "flicker.json"

#: Real volumes below LUNGSCORE_DATA; a folder of NIfTI files stands for all of them.
VOLUMES = ("covid-ct-md/normal002", "lung-pet-ct-dx", "ictcf-volume-jpg", "wild-ct")
PATIENT = "covid-ct-md/P002"

#: Preset, seed and slices of 280 mm: 1.25, 2.5 and 5 mm apart.
PHANTOMS = (
    ("mild", 113, 112),
    ("moderate", 114, 224),
    ("moderate", 114, 112),
    ("moderate", 114, 56),
    ("dense", 115, 112),
)

#: How slices are read.
READINGS = ("alone", "steadied")


def infected(scan: Scan, lungs: Lungs, segmenter: Segmenter) -> dict[str, np.ndarray]:
    """Infection in the lungs' field, (D, H, W) bool, of each of READINGS."""
    field = lung_field(lungs, scan.spacing_mm)
    findings = segmenter.find(scan, lungs)
    alone = [SliceMaps(finding.index, finding.probability) for finding in findings]
    slice_mm = None if scan.spacing_mm is None else scan.spacing_mm[0]
    masks = {}
    for reading, slices in zip(READINGS, (alone, steadied(alone, field, slice_mm)), strict=True):
        masks[reading] = np.zeros(scan.shape, bool)
        for maps in slices:
            masks[reading][maps.index] = (maps.probability >= THRESHOLD) & field[maps.index]
    return masks


def figures(masks: dict[str, np.ndarray], lungs: np.ndarray) -> dict[str, Any]:
    """Of each reading: the infected percent of ``lungs``, the counts of flicker, and as "gaps" the
    slices that the notice infection-gap would name (1 is the most superior)."""
    areas = lungs.sum(axis=(1, 2))
    rows = {}
    for reading, mask in masks.items():
        counts = (mask & lungs).sum(axis=(1, 2))
        percents = [100 * c / a if a else None for c, a in zip(counts, areas, strict=True)]
        rows[reading] = {
            "infected_percent": 100 * counts.sum() / areas.sum(),
            **flicker(mask)._asdict(),
            "gaps": [index + 1 for index in gaps_between_infected(percents)],
        }
    return rows


def real_volumes(root: Path, names: tuple[str, ...]) -> Iterator[tuple[str, Scan]]:
    """Every volume of VOLUMES by its name."""
    for name in names:
        files = sorted((root / name).glob("*.nii.gz")) or [root / name]
        for file in files:
            yield file.relative_to(root).as_posix(), read_scan(file)


def on_real_volumes(segmenter: Segmenter, names: tuple[str, ...]) -> dict[str, Any]:
    """Figures by volume."""
    rows = {}
    for name, scan in real_volumes(data_root(), names):
        lungs = find_lungs_of(scan, lambda: segmenter)
        masks = infected(scan, lungs, segmenter)
        spacing = scan.spacing_mm
        rows[name] = {
            "slice_mm": None if spacing is None else spacing[0],
            **figures(masks, lungs.labels > 0),
        }
        print(name, json.dumps(plain(rows[name])), flush=True)
    return rows


def on_phantoms(segmenter: Segmenter) -> dict[str, Any]:
    """Figures by phantom, and the Dice of each reading with the true infection."""
    rows = {}
    for preset, seed, slices in PHANTOMS:
        phantom = make_phantom(preset, seed=seed, shape=(slices, 256, 256))
        lungs = Lungs(phantom.lungs, sides_known=True)
        masks = infected(phantom.scan, lungs, segmenter)
        row = figures(masks, phantom.lungs > 0)
        for reading in READINGS:
            row[reading]["dice"] = dice(masks[reading], phantom.lesions > 0)
        name = f"{preset}, seed {seed}, {280 / slices:.2f} mm"
        rows[name] = {"slice_mm": 280 / slices, **row}
        print(name, json.dumps(plain(rows[name])), flush=True)
    return rows


def together(rows: dict[str, Any]) -> dict[str, Any]:
    """The shares over all volumes with positions, each reading's counts added up."""
    placed = [row for row in rows.values() if row["slice_mm"] is not None]
    sums = {
        reading: Flicker(
            *(sum(row[reading][name] for row in placed) for name in Flicker._fields),
        )
        for reading in READINGS
    }
    return {
        "volumes": len(placed),
        **{
            reading: {
                **total._asdict(),
                "vanished_share": total.vanished_share,
                "flashed_share": total.flashed_share,
            }
            for reading, total in sums.items()
        },
    }


def main() -> None:
    """Write the result file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", help="folder of a bundle; the shipped one by default")
    parser.add_argument("--patient", action="store_true", help="also the patient of docs/looks.md")
    parser.add_argument("-o", "--out", type=Path, default=OUT)
    asked = parser.parse_args()
    segmenter = Segmenter(load_bundle(asked.model) if asked.model else None, threads=1)
    names = (*VOLUMES, PATIENT) if asked.patient else VOLUMES
    rows, phantoms = on_real_volumes(segmenter, names), on_phantoms(segmenter)
    content = {
        "command": "python experiments/flicker.py" + (" --patient" if asked.patient else ""),
        "model": segmenter.bundle.used.__dict__,
        "spread_mm": SPREAD_MM,
        "farthest_mm": FARTHEST_MM,
        "real": {"together": together(rows), "volumes": rows},
        "phantoms": {"together": together(phantoms), "volumes": phantoms},
    }
    atomic_write(asked.out, json.dumps(plain(content), indent=1) + "\n")
    for kind in ("real", "phantoms"):
        print(kind, json.dumps(plain(content[kind]["together"])))


if __name__ == "__main__":
    main()
