"""Make the bundle ``lungs`` of trained weights.

    python experiments/lungs/export.py RUN/all.safetensors --log RUN/all.json \
        -o src/lungscore/models/lungs
"""

import argparse
import json
from pathlib import Path

from safetensors.torch import load_file

from lungscore.anatomy.lung_view import SIZE, WINDOW_HU
from lungscore.files import atomic_write
from lungscore.inference.bundle import CARD, GRAPH, INPUTS, OUTPUTS, WEIGHTS, load_bundle, sha256
from lungscore.learning.export import export_bundle
from lungscore.networks import LungNet
from lungscore.networks.registry import LUNG_NETWORK

DATA = [
    "COVID-CT-MD, one healthy person (Afshar et al., Sci Data 2021)",
    "LIDC-IDRI, Lung-PET-CT-Dx, Lung-Fused-CT-Pathology, ACRIN-FLT-Breast, CMB-CRC and CPTAC "
    "(TCIA, CC BY 3.0 and 4.0), eleven scans of ten patients",
    "lungmask's test slices (Apache-2.0); a chest CT of the Chest Imaging Platform (BSD)",
    "iCTCF, one scan as JPEG slices (Ning et al. 2020, CC BY 4.0)",
    "COVID-SemiSeg, training slices alone, as the MedSeg slices they were cut from (Fan et al., "
    "IEEE TMI 2020; medicalsegmentation.com)",
    "Shapes of lungs and lobes: LUNA16 (Tang et al. 2019, CC BY-NC-SA 4.0)",
    "lungscore's phantoms",
]
LIMITS = [
    "Labels are lungscore's own masks, looked at and mended by hand, not radiologists' outlines",
    "Most disease in training was made by computer",
    "Fluid and a lung without any air look alike",
    "Sides follow the file's geometry",
]


#: Where the figures of the card come from.
RESULTS = Path(__file__).parents[1] / "results"


def metrics(path: Path) -> list[dict[str, str]]:
    """What the card says of networks that had not seen the patients; nothing before the file."""
    if not path.exists():
        return []
    scans = json.loads(path.read_text())["scans"]
    rows = [row["folds"] for row in scans.values() if "right_air_held" in row.get("folds", {})]
    held = [row[f"{side}_air_held"] for row in rows for side in ("right", "left")]
    foreign = sorted(row["wrong_air_ml"] for row in rows)
    n = f"n = {len(rows)} scans of patients held out"
    return [
        {
            "name": "aerated lung held, lowest and mean of lungs",
            "text": f"{min(held):.3f}, {sum(held) / len(held):.3f}, {n}",
            "result": path.name,
        },
        {
            "name": "air that is no lung, ml, median and highest of scans",
            "text": f"{foreign[len(foreign) // 2]:.1f}, {foreign[-1]:.1f}, {n}",
            "result": path.name,
        },
    ]


def write_bundle(
    weights: Path, out: Path, *, log: dict | None = None, version: str = "0.1"
) -> None:
    """The bundle of ``weights`` in the folder ``out``."""
    network = LungNet()
    network.load_state_dict(load_file(weights))
    out.mkdir(parents=True, exist_ok=True)
    export_bundle(network, out, height=SIZE, width=SIZE, target="lungs")
    log = log or {}
    card = {
        "name": "lungs",
        "version": version,
        "task": "right lung, left lung, trachea and main bronchi",
        "network": LUNG_NETWORK,
        "encoder": "none",
        "inputs": INPUTS["lungs"],
        "outputs": OUTPUTS["lungs"],
        "description": "A small U-Net that sees a slice with six neighbours up to 45 mm away, "
        "trained on mended masks with made disease (docs/anatomy.md)",
        "data": DATA,
        "data_terms": "COVID-SemiSeg: research, non-commercial; LUNA16 lobes: CC BY-NC-SA 4.0; "
        "MedSeg and COVID-CT-MD: terms at the source; else CC BY, BSD and Apache-2.0",
        "limits": LIMITS,
        "input": {
            "height": SIZE,
            "width": SIZE,
            "window_hu": WINDOW_HU,
            "orientation": "anterior up, patient right at image left, 2 mm around the middle "
            "of the body",
        },
        "experiment": {
            key: log[key]
            for key in ("command", "steps", "batch", "seed", "torch", "started_from")
            if key in log
        },
        "metrics": metrics(RESULTS / "lungs-scans.json"),
        "sha256": {file: sha256(out / file) for file in (GRAPH, WEIGHTS)},
    }
    atomic_write(out / CARD, (json.dumps(card, indent=1) + "\n").encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--version", default="0.1")
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    log = json.loads(arguments.log.read_text()) if arguments.log else None
    write_bundle(arguments.weights, arguments.out, log=log, version=arguments.version)
    print(load_bundle(arguments.out).card.name, "written")


if __name__ == "__main__":
    main()
