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
    "folder-missing": ("A folder of the original download is not there.", True),
    "count-short": ("There are fewer than were published.", True),
    "count-above": ("There are more than were published.", False),
    "file-missing": ("A file that a table or a partner names is not there.", True),
    "number-gap": ("Numbers are missing in a row of numbered slices; some may be lost.", False),
    "file-unknown": ("A file belongs to no known part of the dataset and was left out.", False),
    "download-unfinished": ("A download or an unpacking stopped halfway.", True),
    "archive-left": ("An archive lies among the files; what is in it was not looked at.", False),
    "image-empty": ("A file holds no bytes.", True),
    "image-unreadable": ("An image cannot be decoded, or ends too early.", True),
    "image-constant": ("All pixels of an image have one value.", True),
    "sizes-differ": ("A label has another size than its image.", True),
    "label-values": ("A label image holds values outside its table.", True),
    "class-unknown": ("A class or value is none that the dataset knows.", True),
    "x-ray": ("A projection X-ray is no CT and was left out.", False),
    "not-ct": ("An image of another kind is no CT and was left out.", False),
    "table-missing": ("A table of the original download is not there.", True),
    "table-encoding": ("A table is not in an encoding that it is published in.", True),
    "table-columns": ("A table lacks a column, or a column was renamed.", True),
    "table-values": ("A table holds a value that cannot be.", True),
    "duplicate-patient": ("A patient stands twice where once is right.", True),
    "patient-in-two-classes": ("The images of one patient carry two classes.", True),
    "patient-on-both-sides": ("A patient is on both sides of the official split.", True),
    "duplicate-image": ("The same image is filed under two patients.", True),
    "duplicate-copy": ("The same image is there twice, for one patient or for none.", False),
    "content-changed": ("A file is not the one that the manifest was made of.", True),
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
