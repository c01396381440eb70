"""How steady infection is from slice to slice, before and after gaps between slices are filled.

    python experiments/flicker.py [--model BUNDLE] [--patient] [-o FILE]

Of every volume at hand: the infected percent of the lungs, and the shares of infection that vanish
and are back within two slices, or are in one slice alone (evaluation/flicker.py), slice by slice
("single") and as ``analyze`` reads it ("filled"). Volumes without positions are not filled, and are
listed all the same.

Of phantoms, whose lesions are known, at three slice distances and with gaps of up to so many slices
filled: the Dice with the truth, what was added and how much of that is true, and the voxels falsely
called infected. The reach of inference/slice_gaps.py was chosen by these phantoms.

--patient adds the patient that chooses nothing (docs/looks.md). Needs LUNGSCORE_DATA.
"""

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.anatomy import Lungs, lung_field
from lungscore.datasets.training_slices import data_root
from lungscore.evaluation.flicker import Flicker, flicker
from lungscore.evaluation.results import plain
from lungscore.files import atomic_write
from lungscore.inference import Segmenter, load_bundle
from lungscore.inference.readings import THRESHOLD
from lungscore.inference.segment import find_lungs_of
from lungscore.inference.slice_gaps import MOST_MM, MOST_SLICES, filled, longest_gap
from lungscore.scan import Scan, read_scan
from lungscore.scan.phantom import make_phantom
from lungscore.severity.gaps import gaps_between_infected

OUT = Path(__file__).parent / "results" / "flicker.json"

#: Real volumes below LUNGSCORE_DATA; a folder of NIfTI files stands for all of them.
VOLUMES = ("covid-ct-md/normal002", "lung-pet-ct-dx", "ictcf-volume-jpg", "wild-ct")
PATIENT = "covid-ct-md/P002"

#: Slices of 280 mm, so 1.25, 2.5 and 5 mm apart -> presets and seeds.
PHANTOMS = {
    224: (("several-patches", 114), ("dense", 207)),
    112: (
        ("healthy", 206),
        ("few-patches", 113),
        ("few-patches", 202),
        ("several-patches", 114),
        ("several-patches", 213),
        ("many-patches", 204),
        ("dense", 115),
        ("dense", 201),
    ),
    56: (
        ("few-patches", 205),
        ("few-patches", 211),
        ("several-patches", 114),
        ("several-patches", 210),
        ("many-patches", 208),
        ("dense", 203),
        ("dense", 209),
    ),
}

#: The longest gaps that are tried on phantoms, in slices; 0 fills nothing.
GAPS = (0, 1, 2, 3)


def slices_of(scan: Scan, lungs: Lungs, segmenter: Segmenter) -> list[tuple[int, np.ndarray]]:
    """Index and probabilities (H, W) of every slice that is seen, each read by itself."""
    return [(finding.index, finding.probability) for finding in segmenter.find(scan, lungs)]


def infected(slices: Iterable[tuple[int, np.ndarray]], field: np.ndarray, gap: int) -> np.ndarray:
    """Infection in ``field``, (D, H, W) bool, with gaps of at most ``gap`` slices filled."""
    mask = np.zeros(field.shape, bool)
    for index, probability in filled(slices, field, gap):
        mask[index] = (probability >= THRESHOLD) & field[index]
    return mask


def figures(mask: np.ndarray, lungs: np.ndarray) -> dict[str, Any]:
    """The infected percent of ``lungs``, the counts of flicker, and as "gaps" the slices that the
    notice infection-gap would name (1 is the most superior)."""
    areas, counts = lungs.sum(axis=(1, 2)), (mask & lungs).sum(axis=(1, 2))
    percents = [100 * c / a if a else None for c, a in zip(counts, areas, strict=True)]
    return {
        "infected_percent": 100 * counts.sum() / areas.sum(),
        **flicker(mask)._asdict(),
        "gaps": [index + 1 for index in gaps_between_infected(percents)],
    }


def real_volumes(root: Path, names: tuple[str, ...]) -> Iterator[tuple[str, Scan]]:
    """Every volume of ``names`` by its path."""
    for name in names:
        files = sorted((root / name).glob("*.nii.gz")) or [root / name]
        for file in files:
            yield file.relative_to(root).as_posix(), read_scan(file)


def on_real_volumes(segmenter: Segmenter, names: tuple[str, ...]) -> dict[str, Any]:
    """Figures by volume."""
    rows = {}
    for name, scan in real_volumes(data_root(), names):
        lungs = find_lungs_of(scan, lambda: segmenter)
        field, slices = lung_field(lungs, scan.spacing_mm), slices_of(scan, lungs, segmenter)
        gap = longest_gap(scan)
        rows[name] = {
            "slice_mm": None if scan.spacing_mm is None else scan.spacing_mm[0],
            "longest_gap": gap,
            "single": figures(infected(slices, field, 0), lungs.labels > 0),
            "filled": figures(infected(slices, field, gap), lungs.labels > 0),
        }
        print(name, json.dumps(plain(rows[name])), flush=True)
    return rows


def on_phantoms(segmenter: Segmenter) -> dict[str, Any]:
    """Figures by phantom: as of a real volume, and against the truth for each of GAPS."""
    rows = {}
    for depth, people in PHANTOMS.items():
        for preset, seed in people:
            phantom = make_phantom(preset, seed=seed, shape=(depth, 256, 256))
            scan, lungs = phantom.scan, Lungs(phantom.lungs, sides_known=True)
            field, slices = lung_field(lungs, scan.spacing_mm), slices_of(scan, lungs, segmenter)
            masks = [infected(slices, field, gap) for gap in GAPS]
            gap = longest_gap(scan)
            name = f"{preset}, seed {seed}, {280 / depth:.2f} mm"
            rows[name] = {
                "slice_mm": 280 / depth,
                "longest_gap": gap,
                "single": figures(masks[0], phantom.lungs > 0),
                "filled": figures(masks[gap], phantom.lungs > 0),
                "by_gap": [against(mask, masks[0], phantom.lesions > 0) for mask in masks],
            }
            print(name, json.dumps(plain(rows[name])), flush=True)
    return rows


def against(mask: np.ndarray, single: np.ndarray, truth: np.ndarray) -> dict[str, int]:
    """Voxels called infected and truly so; both; added to ``single``, and truly so of these."""
    added = mask & ~single
    counts = {"called": mask, "true": truth, "both": mask & truth}
    counts |= {"added": added, "added_true": added & truth}
    return {name: int(np.count_nonzero(voxels)) for name, voxels in counts.items()}


def together(rows: dict[str, Any]) -> dict[str, Any]:
    """The shares over all volumes with positions, the counts of each reading added up."""
    placed = [row for row in rows.values() if row["slice_mm"] is not None]
    summary: dict[str, Any] = {"volumes": len(placed)}
    for reading in ("single", "filled"):
        total = Flicker(*(sum(row[reading][name] for row in placed) for name in Flicker._fields))
        summary[reading] = {
            **total._asdict(),
            "vanished_share": total.vanished_share,
            "flashed_share": total.flashed_share,
        }
    return summary


def by_distance(rows: dict[str, Any]) -> list[dict[str, Any]]:
    """For each slice distance and each of GAPS, over all phantoms: the Dice of their voxels taken
    together, the highest and lowest change of a phantom's own, what of the added voxels is true,
    and how much the voxels falsely called infected grew."""
    summary = []
    for slice_mm in sorted({row["slice_mm"] for row in rows.values()}):
        people = [row["by_gap"] for row in rows.values() if row["slice_mm"] == slice_mm]
        for gap in GAPS:
            total = {name: sum(p[gap][name] for p in people) for name in people[0][gap]}
            false, false_before = (
                sum(p[g]["called"] - p[g]["both"] for p in people) for g in (gap, 0)
            )
            changes = [dice(p[gap]) - dice(p[0]) for p in people if p[gap]["true"]]
            summary.append(
                {
                    "slice_mm": slice_mm,
                    "gap": gap,
                    "phantoms": len(people),
                    "dice": dice(total),
                    "least_change": min(changes),
                    "most_change": max(changes),
                    "added_true": total["added_true"] / total["added"] if total["added"] else None,
                    "false_percent_more": 100 * (false / false_before - 1),
                }
            )
    return summary


def dice(counts: dict[str, int]) -> float:
    """Of ``counts`` as ``against`` gives them."""
    return 2 * counts["both"] / (counts["called"] + counts["true"])


def main() -> None:
    """Write the result file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", help="folder of a bundle; the shipped one by default")
    parser.add_argument("--patient", action="store_true", help="also the patient of docs/looks.md")
    parser.add_argument("-o", "--out", type=Path, default=OUT)
    asked = parser.parse_args()
    segmenter = Segmenter(load_bundle(asked.model) if asked.model else None, threads=1)
    names = (*VOLUMES, PATIENT) if asked.patient else VOLUMES
    phantoms, rows = on_phantoms(segmenter), on_real_volumes(segmenter, names)
    content = {
        "command": "python experiments/flicker.py" + (" --patient" if asked.patient else ""),
        "model": segmenter.bundle.used.__dict__,
        "most_slices": MOST_SLICES,
        "most_mm": MOST_MM,
        "real": {"together": together(rows), "volumes": rows},
        "phantoms": {
            "together": together(phantoms),
            "by_distance": by_distance(phantoms),
            "volumes": phantoms,
        },
    }
    atomic_write(asked.out, json.dumps(plain(content), indent=1) + "\n")
    for kind in ("real", "phantoms"):
        print(kind, json.dumps(plain(content[kind]["together"])))


if __name__ == "__main__":
    main()
