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
            key: log[key] for key in ("command", "steps", "batch", "seed", "torch") if key in log
        },
        "metrics": [{"training": log.get("loss")}],
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
