"""Opacity that fills a lobe or a lung evenly: is it found, and if not, is it reported?

    python experiments/even_opacity.py

The lungs of scans without pneumonia are mixed with soft tissue, every voxel of a lobe, a lung or
more by the same part, so that its own vessels stay and no edge shows where the disease begins: the
hardest case, since networks find opacity by its edges. Disease is made up, not of patients. Lungs
and lobes are those found in the untouched scan. Needs LUNGSCORE_DATA.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lungscore import analyze
from lungscore.datasets.training_slices import data_root
from lungscore.evaluation.results import plain
from lungscore.files import atomic_write
from lungscore.inference import Segmenter
from lungscore.labels import LOBES, RIGHT_LUNG
from lungscore.result import Analysis, to_result
from lungscore.scan import read_scan

OUT = Path(__file__).parent / "results" / "even-opacity.json"
#: Scans below LUNGSCORE_DATA without pneumonia.
SCANS = {
    "COVID-CT-MD normal002": "covid-ct-md/normal002",
    "wild-ct lidc767": "wild-ct/lidc767.nii.gz",
    "wild-ct stecolon": "wild-ct/stecolon.nii.gz",
}
#: Parts of soft tissue, and its HU.
PARTS, TISSUE_HU = (0.15, 0.3, 0.45), 40


def places(analysis: Analysis) -> Iterator[tuple[str, np.ndarray]]:
    """What is made ill, bool (D, H, W)."""
    lungs, lobes = analysis.lungs.labels, analysis.lobes
    yield "nothing", np.zeros(lungs.shape, bool)
    if lobes is not None:
        yield "right lower lobe", lobes == LOBES["RLL"]
    yield "right lung", lungs == RIGHT_LUNG
    lower = np.zeros(lungs.shape, bool)
    levels = np.flatnonzero(lungs.any(axis=(1, 2)))
    lower[(levels[0] + levels[-1]) // 2 :] = True
    yield "lower half of both lungs", (lungs > 0) & lower
    yield "both lungs", lungs > 0


def rows(scan_name: str, path: Path, segmenter: Segmenter) -> Iterator[dict[str, Any]]:
    """One row per place and part."""
    scan = read_scan(path)
    untouched = analyze(scan, segmenter=segmenter, ranges=False)
    for place, ill in places(untouched):
        for part in PARTS if ill.any() else (0.0,):
            values = scan.values.astype(np.float32)
            values[ill] += part * (TISSUE_HU - values[ill])
            painted = replace(scan, values=np.rint(values).astype(np.int16))
            result = to_result(analyze(painted, segmenter=segmenter, ranges=False))
            lungs = untouched.lungs.labels > 0
            yield {
                "scan": scan_name,
                "place": place,
                "part": part,
                "median_hu": float(np.median(painted.values[ill])) if ill.any() else None,
                "true_percent": 100 * np.count_nonzero(ill) / np.count_nonzero(lungs),
                "found_percent": result.burden.infection_percent,
                "category": result.severity.category,
                "infected": result.detection.infected,
                "reliability": result.reliability.grade,
                "told": "lung-density" in {warning.code for warning in result.warnings},
            }


def main() -> None:
    """Write the result file."""
    segmenter = Segmenter()
    root = data_root()
    content = {
        "command": "python experiments/even_opacity.py",
        "model": {"name": segmenter.bundle.card.name, "version": segmenter.bundle.card.version},
        "tissue_hu": TISSUE_HU,
        "rows": [row for name, path in SCANS.items() for row in rows(name, root / path, segmenter)],
    }
    atomic_write(OUT, json.dumps(plain(content), indent=1, ensure_ascii=False) + "\n")
    print(OUT.name)


if __name__ == "__main__":
    main()
