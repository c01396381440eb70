"""A bundle of the smallest network, for training that starts from one."""

import json
from pathlib import Path

import torch

from lungscore.inference.bundle import CARD, GRAPH, WEIGHTS, Bundle, load_bundle, sha256
from lungscore.learning.export import export_bundle
from lungscore.networks import make_network


def make_small_bundle(folder: Path, *, seed: int = 0) -> Bundle:
    """A U-Net of four channels for slices of 64 × 64, random weights."""
    torch.manual_seed(seed)
    network = make_network("u-net", base_width=4)
    export_bundle(network, folder, height=64, width=64)
    card = {
        "name": "small",
        "version": "0",
        "task": "none",
        "network": "u-net",
        "encoder": "none",
        "base_width": 4,
        "description": "random weights",
        "data": ["nothing"],
        "data_terms": "for tests",
        "limits": ["knows nothing"],
        "input": {
            "height": 64,
            "width": 64,
            "window_hu": [-1350.0, 150.0],
            "orientation": "as shown",
            "grey_split": 0.5,
        },
        "experiment": {},
        "metrics": [],
        "sha256": {file: sha256(folder / file) for file in (GRAPH, WEIGHTS)},
    }
    (folder / CARD).write_text(json.dumps(card))
    return load_bundle(folder)
