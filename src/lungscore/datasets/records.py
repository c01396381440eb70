"""What is said of every image file of a dataset, of its patients, and of what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

#: What a file holds: one 2-D picture, one volume (NIfTI, MetaImage), one DICOM image.
Kind = Literal["slice", "volume", "dicom"]

#: What a dataset's table says of one patient: "patient", "label", then numbers and text by name.
Patient = Mapping[str, str | float | None]

#: The sides of a split. A patient is on one of them only.
Group = Literal["train", "validation", "test"]

#: What can be wrong with a dataset: code -> (what it means, whether it blocks a manifest).
#: docs/datasets.md explains each.
PROBLEMS: dict[str, tuple[str, bool]] = {
    "folder-missing": ("A folder of the original download is missing.", True),
    "count-short": ("There are fewer than published.", True),
    "count-above": ("There are more than published.", False),
    "file-missing": ("A file named in a table, or the partner of a file, is missing.", True),
    "number-gap": ("The numbering of slices has gaps; slices may be lost.", False),
    "file-unknown": ("A file is not a known part of the dataset and was left out.", False),
    "download-unfinished": ("A download or unpacking was interrupted.", True),
    "archive-left": ("There is an archive among the files; its contents were not checked.", False),
    "image-empty": ("A file is empty.", True),
    "image-unreadable": ("An image cannot be decoded or is truncated.", True),
    "image-constant": ("All pixels of an image have the same value.", True),
    "sizes-differ": ("A label image differs in size from its image.", True),
    "mask-geometry": ("A mask differs in size, spacing or position from its image.", True),
    "mask-empty": ("A mask marks nothing, and its image is not said to be negative.", True),
    "pair-ambiguous": ("It is open which mask belongs to which image.", True),
    "no-lungs": ("No lungs were found in a volume.", True),
    "label-values": ("A label image contains unknown values.", True),
    "class-unknown": ("A class or value is unknown in the dataset.", True),
    "x-ray": ("A projection X-ray is not a CT and was left out.", False),
    "not-ct": ("An image of another type is not a CT and was left out.", False),
    "table-missing": ("A table of the original download is missing.", True),
    "table-encoding": ("A table has an unexpected encoding.", True),
    "table-columns": ("A table lacks a column, or a column was renamed.", True),
    "table-values": ("A table contains an impossible value.", True),
    "duplicate-patient": ("A patient occurs twice.", True),
    "patient-in-two-classes": ("The images of one patient have two classes.", True),
    "patient-on-both-sides": ("A patient is on both sides of the official split.", True),
    "duplicate-image": ("The same image is filed under two patients.", True),
    "duplicate-copy": ("The same image occurs twice, for one patient or for none.", False),
    "content-changed": ("A file differs from the one in the manifest.", True),
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. path: relative to the dataset's folder, or the name of a part."""

    code: str
    path: str
    found: str

    def __post_init__(self) -> None:
        if self.code not in PROBLEMS:
            raise ValueError(f"unknown problem {self.code!r}")

    @property
    def blocking(self) -> bool:
        """Whether a manifest cannot be complete with it."""
        return PROBLEMS[self.code][1]


@dataclass(frozen=True)
class Count:
    """How many of something there are, and how many were published (None: nobody says)."""

    name: str
    found: int
    published: int | None


@dataclass(frozen=True)
class Companion:
    """A further picture that goes with an image, of its size. values: all it may hold, if any."""

    path: str
    values: tuple[int, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One image file, and what the dataset says of it.

    path, mask: relative to the dataset's folder, with forward slashes. case: the scan that it
    belongs to, unique in the dataset. patient: None where the dataset does not say. label: the
    class of the case; slice_label: of this slice alone. group: its side of the official split, None
    where there is none. mask_values: what the mask may hold; any value if none. companions: further
    files that are looked at with it.
    """

    path: str
    case: str
    kind: Kind
    patient: str | None = None
    label: str | None = None
    slice_label: str | None = None
    group: Group | None = None
    mask: str | None = None
    mask_values: tuple[int, ...] = ()
    companions: tuple[Companion, ...] = ()
