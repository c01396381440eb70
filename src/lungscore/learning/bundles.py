"""Shipped bundles, and bundles of one's own, as what a training starts from."""

from dataclasses import asdict
from typing import Any

from torch import nn

from lungscore.errors import InputError
from lungscore.inference.bundle import Bundle, load_bundle
from lungscore.inference.engines import load_network
from lungscore.learning.checkpoints import check_tensors
from lungscore.learning.config import ExperimentConfig


def bundle_to_start_from(config: ExperimentConfig) -> Bundle | None:
    """The bundle of ``network.start``, or None where the experiment starts from none.

    Raises checkpoint-mismatch where it is another network than the experiment's, and ResourceError
    model-missing or model-damaged.
    """
    start = config.network.start
    if start is None or start.bundle is None:
        return None
    bundle = load_bundle(start.bundle)
    card, network = bundle.card, config.network
    encoder = "none" if card.encoder == "none" else network.encoder
    ours = (config.target, network.name, encoder, network.base_width)
    if (card.target, card.network, card.encoder, card.base_width) != ours:
        raise InputError(
            "checkpoint-mismatch",
            f"{config.name} starts from the bundle {card.name}, the network {card.network} with "
            f"the encoder {card.encoder} for {card.target}",
            expected=f"{network.name} with the encoder {network.encoder} for {config.target}",
            hint="Take over the bundle's: see network.name, network.encoder and target",
        )
    return bundle


def facts_of_start(bundle: Bundle) -> dict[str, Any]:
    """What the weights of a run, and later its card, say of the bundle that it started from."""
    card = bundle.card
    return {
        **asdict(bundle.used),
        "data": card.data,
        "limits": card.limits,
        "grey_split": card.input.grey_split,
    }


def load_bundle_weights(network: nn.Module, bundle: Bundle) -> None:
    """Take over the weights of a bundle, in float32. Raises checkpoint-mismatch."""
    with_probabilities = load_network(bundle).state_dict()
    tensors = {name.removeprefix("network."): t for name, t in with_probabilities.items()}
    check_tensors(network.state_dict(), tensors, f"{bundle.weights.name} of {bundle.card.name}")
    network.load_state_dict(tensors)
