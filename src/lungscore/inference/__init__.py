"""Segmentation with a trained network; torch is not needed."""

from lungscore.inference.bundle import Bundle, list_bundles, load_bundle
from lungscore.inference.lesions import EngineUsed, Lesions, ModelUsed, SliceFinding
from lungscore.inference.segment import Segmenter, load_segmenter, segment

__all__ = [
    "Bundle",
    "EngineUsed",
    "Lesions",
    "ModelUsed",
    "Segmenter",
    "SliceFinding",
    "list_bundles",
    "load_bundle",
    "load_segmenter",
    "segment",
]
