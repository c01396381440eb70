"""What a finished run trained: a network of an experiment file or of a timed training."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import nn

from lungscore.errors import InputError
from lungscore.inference.bundle import WEIGHTS, Target
from lungscore.learning.checkpoints import load_weights, read_facts
from lungscore.learning.config import ExperimentConfig, InputConfig
from lungscore.learning.timed.plan import Run
from lungscore.learning.timed.work import FACTS
from lungscore.networks import SLIM_NETWORK, make_network


@dataclass(frozen=True)
class Trained:
    """A trained network, as networks.make_network takes it.

    name: of the experiment, or of the arm of a timed training. experiment: as the card repeats it.
    made_with: what the weights say themselves, such as the data they learned from.
    """

    name: str
    target: Target
    network: str
    encoder: str
    base_width: int
    input: InputConfig
    description: str
    experiment: dict[str, Any]
    made_with: dict[str, Any]

    def load(self, weights: Path) -> nn.Module:
        """The network with ``weights``. Raises InputError checkpoint-mismatch."""
        network = make_network(self.network, encoder=self.encoder, base_width=self.base_width)
        load_weights(network, weights)
        return network


def read_trained(run: Path) -> Trained:
    """What the folder of a run says. Raises InputError checkpoint-mismatch."""
    if (run / FACTS).is_file():
        return _of_timed_run(run / FACTS)
    return _of_experiment(run / WEIGHTS)


def _of_experiment(weights: Path) -> Trained:
    made_with = read_facts(weights)
    try:
        config = ExperimentConfig.model_validate(made_with.get("config"))
    except ValidationError as error:
        raise InputError(
            "checkpoint-mismatch", f"{weights.name} does not say which experiment made it"
        ) from error
    network = config.network
    return Trained(
        config.name,
        config.target,
        network.name,
        network.encoder,
        network.base_width,
        config.input,
        config.description,
        _experiment_in_card(config),
        made_with,
    )


def _experiment_in_card(config: ExperimentConfig) -> dict[str, Any]:
    """The experiment without the folders of this computer: a bundle is told by its name."""
    values = config.model_dump(mode="json")
    if config.network.start is not None and config.network.start.bundle is not None:
        values["network"]["start"]["bundle"] = Path(config.network.start.bundle).name
    return values


#: What the networks of a timed training are for, and their name, by its kind.
_TIMED: dict[str, tuple[Target, str]] = {
    "slim": ("classes", SLIM_NETWORK),
    "today": ("infection", "finer-inf-net"),
}


def _of_timed_run(facts: Path) -> Trained:
    """Of experiments/timed_stages.py."""
    try:
        stored = json.loads(facts.read_text(encoding="utf-8"))
        run = Run(**stored["run"])
        target, network = _TIMED[run.kind]
        size = InputConfig(**stored.get("input", {}))
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            "checkpoint-mismatch", f"{facts.name} does not say what was trained"
        ) from error
    return Trained(
        run.arm,
        target,
        network,
        run.encoder,
        64,
        size,
        f"{run.arm}, trained on the split {run.split}",
        {"run": asdict(run), **{key: stored[key] for key in ("steps", "slices") if key in stored}},
        {},
    )
