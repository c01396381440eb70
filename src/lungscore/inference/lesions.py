"""What inference finds, and with which model and engine."""

from dataclasses import dataclass, replace

import numpy as np

from lungscore.errors import Notice
from lungscore.inference.readings import Alternatives


@dataclass(frozen=True)
class ModelUsed:
    """A model as the result names it. data_terms: the terms of the data it was trained on."""

    name: str
    version: str
    sha256: str
    data_terms: str


@dataclass(frozen=True)
class EngineUsed:
    """name: "openvino", "onnxruntime" or "torch"; precision: "f32" or "bf16"; device: "cpu", or
    "cuda:" and the number of a graphics card."""

    name: str
    precision: str
    device: str = "cpu"

    @property
    def text(self) -> str:
        """On one line; the processor goes without saying."""
        on_card = "" if self.device == "cpu" else f" on {self.device}"
        return f"{self.name} {self.precision}{on_card}"


@dataclass(frozen=True)
class SliceFinding:
    """What is found in one slice, the ``index``-th of its scan.

    probability: (H, W) float32, of infection; 0 outside what the network saw. dense: (H, W) bool,
    where infection counts as consolidation; elsewhere it counts as GGO.
    """

    index: int
    probability: np.ndarray
    dense: np.ndarray


@dataclass(frozen=True, repr=False)
class Lesions:
    """labels: (D, H, W) uint8, 0 / 1 GGO / 2 consolidation; infection is labels > 0.

    alternatives: what the network could be taken to say as well; None where nobody asked, and for
    masks that were given. filled_gaps: the longest gap between infected slices that was filled, in
    slices; None for masks that were given.
    """

    labels: np.ndarray
    models: tuple[ModelUsed, ...]
    engine: EngineUsed | None
    notices: tuple[Notice, ...] = ()
    alternatives: Alternatives | None = None
    filled_gaps: int | None = None

    def with_models(self, models: tuple[ModelUsed, ...]) -> "Lesions":
        """The same, named as made with ``models`` too."""
        return replace(self, models=(*self.models, *models))

    def __repr__(self) -> str:
        shape = " × ".join(map(str, self.labels.shape))
        models = " and ".join(f"{model.name} {model.version}" for model in self.models)
        return f"Lesions({shape}, {f'models {models}' if models else 'supplied masks'})"
