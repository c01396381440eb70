"""Bundles of untrained networks: fast to make, and as real as trained ones to an engine."""

import json
from pathlib import Path

import numpy as np

from lungscore.files import atomic_write
from lungscore.inference.bundle import CARD, GRAPH, WEIGHTS, Card, InputSpec, sha256

HEIGHT, WIDTH = 64, 96

#: What the bundle for lesions sees: another size and another window than that for infection.
LESIONS_HEIGHT, LESIONS_WIDTH, LESIONS_WINDOW_HU = 48, 64, (-1000.0, 200.0)


def card_of(folder: Path, **changes) -> Card:
    """A card that fits the files in ``folder``."""
    values = {
        "name": "random",
        "version": "0",
        "task": "none",
        "network": "inf-net",
        "encoder": "resnet18",
        "description": "Random weights.",
        "data": [],
        "data_terms": "none",
        "limits": ["Knows nothing"],
        "input": InputSpec(
            height=HEIGHT,
            width=WIDTH,
            window_hu=(-1350, 150),
            orientation="any",
            grey_split=0.7,
        ),
        "experiment": {},
        "metrics": [],
        "sha256": {file: sha256(folder / file) for file in (GRAPH, WEIGHTS)},
    }
    return Card.model_validate({**values, **changes})


def write_card(folder: Path, **changes) -> None:
    """Write card.json beside the files in ``folder``."""
    card = card_of(folder, **changes)
    atomic_write(folder / CARD, json.dumps(card.model_dump(mode="json")))


def make_random_bundle(folder: Path) -> None:
    """Graph, weights and card of an Inf-Net that calls about half of what it sees infected."""
    import torch

    from lungscore.learning.export import export_bundle
    from lungscore.networks import InfNet, normalise

    torch.manual_seed(0)
    network = InfNet("resnet18")
    images = torch.stack([torch.from_numpy(image)[None] for image in images_of(4)])
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # statistics of exactly these images
    with torch.no_grad():
        network(normalise(images))
        network.eval()
        network.refine_shallow.head[1].weight *= 2
        logits = network(normalise(images)).side_outputs[-1]
        network.refine_shallow.head[1].bias -= logits.median()
    export_bundle(network, folder, height=HEIGHT, width=WIDTH)
    write_card(folder)


def make_random_lesions_bundle(folder: Path) -> None:
    """The same of a small network for lesions, as undecided between GGO and consolidation."""
    import torch

    from lungscore.learning.export import export_bundle
    from lungscore.networks import lesion_input, make_network

    torch.manual_seed(0)
    network = make_network("multi-inf-net", base_width=4)
    size = LESIONS_HEIGHT, LESIONS_WIDTH
    greys = torch.stack([torch.from_numpy(image)[None] for image in images_of(4, *size)])
    inputs = lesion_input(greys, greys.flip(0))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network(inputs)
        network.eval()
        network.head.weight *= 8
        logits = network(inputs).side_outputs[-1]
        network.head.bias -= logits.flatten(2).transpose(0, 1).flatten(1).median(dim=1).values
    export_bundle(network, folder, height=size[0], width=size[1], target="lesions")
    spec = InputSpec(height=size[0], width=size[1], window_hu=LESIONS_WINDOW_HU, orientation="any")
    write_card(folder, **LESIONS_CARD, input=spec)


#: What the card of the bundle for lesions says otherwise.
LESIONS_CARD = {
    "name": "random-lesions",
    "network": "multi-inf-net",
    "encoder": "none",
    "base_width": 4,
    "inputs": ("grey", "prior"),
    "outputs": ("background", "ggo", "consolidation"),
}


def images_of(count: int, height: int = HEIGHT, width: int = WIDTH) -> list[np.ndarray]:
    """Grey levels 0…1 with structure at several scales, (height, width) float32."""
    from scipy import ndimage

    images = []
    for seed in range(count):
        noise = np.random.default_rng(seed).random((3, height, width), np.float32)
        parts = [
            ndimage.gaussian_filter(layer, s) for layer, s in zip(noise, (1, 4, 10), strict=True)
        ]
        image = sum((layer - layer.min()) / np.ptp(layer) for layer in parts) / 3
        images.append(image.astype(np.float32))
    return images
