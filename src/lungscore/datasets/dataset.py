"""What is said of a public dataset as a whole."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lungscore.datasets.records import Entry, Patient
from lungscore.datasets.visit import Visit


@dataclass(frozen=True)
class Dataset:
    """A public dataset, as it is downloaded.

    labels: the classes of cases, from the mildest to the gravest where they have an order.
    seen: where the layout that ``walk`` reads was seen; unverified: what of it could not be.
    overlaps: datasets that show the same patients: none of them tests what the other trained.
    walk: yields every image file in a fixed order and tells the visit what it finds wrong.
    patients: yields what its table says of every patient, None where there is no such table; it is
    asked before ``walk``.
    """

    name: str
    title: str
    what: str
    size: str
    licence: str
    citation: str
    where: str
    seen: str
    unverified: str
    walk: Callable[[Visit], Iterator[Entry]]
    labels: tuple[str, ...] = ()
    slice_labels: tuple[str, ...] = ()
    overlaps: tuple[str, ...] = ()
    patients: Callable[[Visit], Iterator[Patient]] | None = None
