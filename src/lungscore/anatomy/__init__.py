"""Lungs, lobes and the 20 scoring regions."""

from lungscore.anatomy.boxes import lung_box, slice_boxes
from lungscore.anatomy.components import separate_lesions
from lungscore.anatomy.hidden import (
    complete_lungs,
    dense_outside,
    include_infection,
    lung_field,
)
from lungscore.anatomy.lobes import divide_lungs, find_lobes
from lungscore.anatomy.lungs import Lungs, find_lungs, size_notices
from lungscore.anatomy.missing import missing_lobes
from lungscore.anatomy.moved_lobes import move_lobes
from lungscore.anatomy.periphery import outer_third
from lungscore.anatomy.regions import divide_regions
from lungscore.anatomy.sides import sides_of_lobes
from lungscore.anatomy.solid import solid_lung

__all__ = [
    "Lungs",
    "complete_lungs",
    "dense_outside",
    "divide_lungs",
    "divide_regions",
    "find_lobes",
    "find_lungs",
    "include_infection",
    "lung_box",
    "lung_field",
    "missing_lobes",
    "move_lobes",
    "outer_third",
    "separate_lesions",
    "sides_of_lobes",
    "size_notices",
    "slice_boxes",
    "solid_lung",
]
