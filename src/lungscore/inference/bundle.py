"""Shipped models: a folder with card.json, a graph and its weights, each stored once.

The graph is ONNX; its weights lie beside it in safetensors (fp16), at the offsets the graph
names. So every engine and torch read the same bytes, and nothing is ever unpickled.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lungscore.errors import ResourceError
from lungscore.inference.appearance import STATISTICS
from lungscore.inference.lesions import ModelUsed

CARD, GRAPH, WEIGHTS = "card.json", "model.onnx", "weights.safetensors"

#: Bytes that no card comes near.
LONGEST_CARD = 2**20

#: The bundles that ``analyze`` and ``predict`` use; the second only where it is installed.
DEFAULT_MODEL, LESIONS_MODEL = "infection", "lesions"

#: The bundle that finds the lungs; without it the rules of anatomy do.
LUNGS_MODEL = "lungs"

#: What a network is for: infection against everything else, GGO against consolidation, or lungs.
Target = Literal["infection", "lesions", "lungs"]

#: What its graph takes, each (1, channels, height, width) float32 in 0…1: grey levels in standard
#: view, and the prior, the probability of infection that another network found in them; for lungs
#: a slice with its neighbours (anatomy.lung_view).
INPUTS: dict[Target, tuple[str, ...]] = {
    "infection": ("grey",),
    "lesions": ("grey", "prior"),
    "lungs": ("slices",),
}

#: Channels of each of these inputs.
CHANNELS: dict[Target, int] = {"infection": 1, "lesions": 1, "lungs": 7}

#: The channels of the probabilities that it gives, (1, channels, height, width) float32.
OUTPUTS: dict[Target, tuple[str, ...]] = {
    "infection": ("infection",),
    "lesions": ("background", "ggo", "consolidation"),
    "lungs": ("background", "right", "left", "airways"),
}


class InputSpec(BaseModel):
    """How the graph sees a slice.

    window_hu: the Hounsfield units that are black and white. grey_split, for infection alone: the
    grey level (0…1) from which infection counts as consolidation where there are neither
    Hounsfield units nor a network that tells the two apart.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    height: int = Field(ge=1, le=4096)
    width: int = Field(ge=1, le=4096)
    window_hu: tuple[float, float]
    orientation: str
    grey_split: float | None = Field(default=None, ge=0, le=1)

    def window(self, units: str) -> tuple[float, float]:
        """What is black and white in a scan of ``units``: 8-bit slices are windowed already."""
        return self.window_hu if units == "hu" else (0.0, 255.0)

    @field_validator("window_hu")
    @classmethod
    def _rising(cls, window_hu: tuple[float, float]) -> tuple[float, float]:
        if not window_hu[0] < window_hu[1]:
            raise ValueError("the window's first number is black and must be the smaller one")
        return window_hu


class Familiar(BaseModel):
    """How the slices looked that the network learned from.

    ranges: statistic (looks.STATISTICS) -> lowest and highest; at least one. slices: how many there
    were. command: what measured them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    ranges: dict[str, tuple[float, float]] = Field(min_length=1)
    slices: int = Field(ge=1)
    command: str

    @model_validator(mode="after")
    def _known_and_in_order(self) -> Self:
        if unknown := set(self.ranges) - set(STATISTICS):
            raise ValueError(f"no statistics {sorted(unknown)}")
        if not all(low < high for low, high in self.ranges.values()):
            raise ValueError("a range runs from its lowest to its highest")
        return self


class Card(BaseModel):
    """What a bundle is, what it was made from, how good it is and what its files must hash to.

    network, encoder, base_width: as networks.make_network takes them. inputs, outputs: INPUTS and
    OUTPUTS of its target. familiar: None where nobody measured how the training slices looked; then
    no scan is called unlike them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    version: str
    task: str
    network: str
    encoder: str
    base_width: int = Field(default=64, ge=4, le=128)
    inputs: tuple[str, ...] = INPUTS["infection"]
    outputs: tuple[str, ...] = OUTPUTS["infection"]
    description: str
    data: list[str]
    data_terms: str
    limits: list[str]
    input: InputSpec
    experiment: dict[str, object]
    metrics: list[dict[str, object]]
    sha256: dict[str, str]
    familiar: Familiar | None = None

    @property
    def target(self) -> Target:
        """What the network is for."""
        targets = (target for target, outputs in OUTPUTS.items() if outputs == self.outputs)
        return next(targets, "infection")

    @model_validator(mode="after")
    def _of_one_target(self) -> Self:
        if (self.inputs, self.outputs) != (INPUTS[self.target], OUTPUTS[self.target]):
            raise ValueError(f"no network takes {self.inputs} and gives {self.outputs}")
        if self.target == "infection" and self.input.grey_split is None:
            raise ValueError("a network for infection needs a grey_split")
        return self


@dataclass(frozen=True)
class Bundle:
    """A verified bundle on disk."""

    folder: Path
    card: Card

    @property
    def graph(self) -> Path:
        """The ONNX graph."""
        return self.folder / GRAPH

    @property
    def weights(self) -> Path:
        """The safetensors file, also what fine-tuning reads."""
        return self.folder / WEIGHTS

    @property
    def used(self) -> ModelUsed:
        """The entry for result.json."""
        card = self.card
        return ModelUsed(card.name, card.version, card.sha256[WEIGHTS], card.data_terms)


def models_folder() -> Path:
    """Where the bundles that come with the package lie."""
    return Path(str(resources.files("lungscore"))) / "models"


def list_bundles() -> list[str]:
    """The names of the bundles that come with the package."""
    return sorted(path.parent.name for path in models_folder().glob(f"*/{CARD}"))


def load_bundle(name_or_folder: str | Path = DEFAULT_MODEL) -> Bundle:
    """Read and verify a bundle by name, or one of the user's own by folder.

    A shipped name always means the shipped bundle, whatever lies in the working folder. Raises
    ResourceError model-missing or model-damaged, naming the file.
    """
    shipped = str(name_or_folder) in list_bundles()
    folder = models_folder() / name_or_folder if shipped else Path(name_or_folder)
    try:
        with open(folder / CARD, "rb") as content:
            card = Card.model_validate(json.loads(content.read(LONGEST_CARD)))
    except OSError as error:
        raise ResourceError(
            "model-missing",
            f"Unknown model: {Path(name_or_folder).name!r}",
            hint="Run lungscore models list to see the installed models",
        ) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, or not a card
        told = ""
        if isinstance(error, ValidationError):
            first = error.errors(include_input=False)[0]
            told = f": {'.'.join(map(str, first['loc']))[:60]}: {first['msg'][:80]}"
        raise ResourceError(
            "model-damaged", f"{CARD} of {folder.name} is not valid{told}"
        ) from error
    if not {GRAPH, WEIGHTS} <= card.sha256.keys():
        raise ResourceError(
            "model-damaged",
            f"{CARD} of {folder.name} states checksums of {sorted(card.sha256)}",
            expected=f"{GRAPH} and {WEIGHTS}",
        )
    for file, expected in card.sha256.items():
        if Path(file).name != file or not (folder / file).is_file():
            raise ResourceError("model-missing", f"{file} of model {card.name} is missing")
        if sha256(folder / file) != expected:
            raise ResourceError(
                "model-damaged",
                f"{file} of model {card.name} does not have the checksum its card states",
                hint="Reinstall lungscore",
            )
    return Bundle(folder, card)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
