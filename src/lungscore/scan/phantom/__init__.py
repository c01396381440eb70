"""A synthetic chest CT with known lungs, lobes and lesions (docs/phantom.md)."""

from lungscore.scan.phantom.lesions import FORMER_NAMES, PRESETS, PhantomLesion
from lungscore.scan.phantom.make import Phantom, make_phantom, measure_truth

__all__ = ["FORMER_NAMES", "PRESETS", "Phantom", "PhantomLesion", "make_phantom", "measure_truth"]
