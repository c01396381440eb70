"""One annotated slice, as every dataset yields it."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Sample:
    """A slice in standard view (anterior up, patient right at image left) with its labels.

    image: (H, W) uint8 grey levels, or int16 Hounsfield units.
    infection: (H, W) bool, ground-glass opacity or consolidation.
    name: unique within its source. patient: None where the dataset does not say.
    source: the dataset's name. lesions: (H, W) uint8 classes (labels.py) where known.
    soft: (H, W) uint8, probability of infection times 255, where the label is a network's; the
    infection is then what lies from one half on. weight: how often it is drawn in training, 1 as
    often as others. lungs: (H, W) bool, where disease may be made; None where nobody looked.
    """

    image: np.ndarray
    infection: np.ndarray
    name: str
    source: str
    patient: str | None = None
    lesions: np.ndarray | None = None
    soft: np.ndarray | None = None
    weight: float = 1.0
    lungs: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.image.shape != self.infection.shape or self.infection.dtype != bool:
            raise ValueError(f"{self.name}: infection must be bool and as large as the image")
        if self.soft is not None and (
            self.soft.shape != self.image.shape or self.soft.dtype != np.uint8
        ):
            raise ValueError(f"{self.name}: soft labels must be uint8 and as large as the image")
        if self.lungs is not None and (
            self.lungs.shape != self.image.shape or self.lungs.dtype != bool
        ):
            raise ValueError(f"{self.name}: lungs must be bool and as large as the image")


def with_soft_labels(sample: Sample, soft: np.ndarray) -> Sample:
    """``sample`` with a network's map (H, W) uint8 as its label; no classes."""
    return replace(sample, infection=soft >= 128, soft=soft, lesions=None)
