"""Lungs, lobes and the 20 scoring regions."""

from lungscore.anatomy.boxes import lung_box, slice_boxes
from lungscore.anatomy.lungs import Lungs, find_lungs

__all__ = ["Lungs", "find_lungs", "lung_box", "slice_boxes"]
