"""The manifest of one's own labels: one row an image with its mask, as CSV.

``lungscore data prepare my-data`` writes it, and whatever exports corrected masks writes the same.
Columns: ``COLUMNS``, of which ``OPTIONAL`` may be absent. Paths are relative to the manifest's own
folder, with forward slashes, so that it moves together with its data.
"""

import csv
import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from lungscore.datasets.records import Group
from lungscore.errors import InputError, LungscoreError
from lungscore.files import csv_text, plain_cell
from lungscore.scan.names import safe_name

#: What the values of a mask mean: 1 (in pictures 255, too) is infection; or 1 is ground-glass
#: opacity and 2 consolidation.
Labels = Literal["infection", "classes"]

#: Columns that a manifest may lack, and that may be empty.
OPTIONAL = (
    "mask_sha256",
    "lungs",
    "labels",
    "negative",
    "first_slice",
    "last_slice",
    "weight",
)

COLUMNS = ("case", "patient", "group", "image", "mask", "source", "sha256", *OPTIONAL)

_NEVER_EMPTY = ("case", "group", "image", "source", "sha256")

#: The heaviest weight of a row.
HEAVIEST = 100.0

_NO_TEXT = re.compile(r"[\0-\x1f\x7f]")


@dataclass(frozen=True)
class LabelledRow:
    """One image and what was marked in it.

    number: of the row, from 1. case: unique, and fit to be the name of a file. patient: None where
    it is not known; a patient is in one group only. image: a picture, a volume, a DICOM file or the
    folder of a DICOM series. mask: None where the image is negative. source: where it comes from.
    sha256, mask_sha256: checksums (``checksum``). lungs: a mask of the lungs, instead of those
    that lungscore finds. negative: the image shows no infection. first_slice, last_slice: the
    slices that were marked, counted from 0, superior to inferior, both ends included; None for all.
    weight: how often its slices are drawn, 1 as often as those of other rows.
    """

    number: int
    case: str
    patient: str | None
    group: Group
    image: str
    mask: str | None
    source: str
    sha256: str
    mask_sha256: str | None = None
    lungs: str | None = None
    labels: Labels = "infection"
    negative: bool = False
    first_slice: int | None = None
    last_slice: int | None = None
    weight: float = 1.0

    @property
    def unit(self) -> str:
        """What splits keep together: the patient, or the case where no patient is known."""
        return self.patient or self.case

    def cells(self) -> list[str | None]:
        """The row as a manifest holds it."""
        values = {
            **vars(self),
            "negative": "yes" if self.negative else None,
            "weight": None if self.weight == 1 else f"{self.weight:g}",
            "first_slice": None if self.first_slice is None else str(self.first_slice),
            "last_slice": None if self.last_slice is None else str(self.last_slice),
        }
        return [values[name] for name in COLUMNS]


def labelled_csv(rows: Iterable[LabelledRow]) -> str:
    """The manifest of ``rows``."""
    return csv_text(COLUMNS, (row.cells() for row in rows))


#: A row by column; None for an empty cell.
Cells = Mapping[str, str | None]

#: Is told of a faulty row: its number, its case (or None), what is wrong.
Refused = Callable[[int, str | None, InputError], object]


def read_labelled(path: Path, *, refused: Refused | None = None) -> list[LabelledRow]:
    """The rows of a manifest, checked one by one and against each other; no image is opened.

    refused: is told of every faulty row, and reading goes on without it. Without it, raises
    InputError ``manifest-invalid`` or ``patient-on-both-sides``, which names the row. Raises
    ``input-not-found``, and ``manifest-invalid`` where the table itself cannot be read.
    """
    return labelled_rows(_read_cells(path), path, refused=refused)


def labelled_rows(
    table: Iterable[Cells], path: Path, *, refused: Refused | None = None
) -> list[LabelledRow]:
    """The rows of a table that is called ``path``, as ``read_labelled`` gives them."""
    rows: list[LabelledRow] = []
    together = _Together(path)
    for number, cells in enumerate(table, start=1):
        try:
            row = _checked(cells, path, number)
            together.check(row)
        except InputError as error:
            if refused is None:
                raise
            refused(number, cells.get("case"), error)
            continue
        rows.append(row)
    return rows


def in_row(error: LungscoreError, path: Path, row: LabelledRow) -> InputError:
    """``error`` of one row of the manifest ``path``, which it then names."""
    fault = f"{path.name}, row {row.number} ({row.case}): {error.found}"
    return InputError(error.code, fault, expected=error.expected, hint=error.hint)


def checksum(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of a line "SHA-256  NAME" for each of its files.

    The files of a folder are sorted by their paths below it. Raises OSError.
    """
    if not path.is_dir():
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    lines = (f"{checksum(files[name])}  {name}\n" for name in sorted(files))
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _read_cells(path: Path) -> Iterator[Cells]:
    if path.suffix.lower() != ".csv":
        raise InputError(
            "manifest-invalid", f"{path.name} is not CSV", expected="own labels in a .csv manifest"
        )
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            names = reader.fieldnames or []
            if missing := [name for name in COLUMNS if name not in {*names, *OPTIONAL}]:
                raise InputError(
                    "manifest-invalid",
                    f"{path.name}: it has no column {missing[0]}",
                    expected=", ".join(COLUMNS),
                    hint="Write it with lungscore data prepare my-data; manifests of public "
                    "datasets are for pre-training",
                )
            for number, row in enumerate(reader, start=1):
                if None in row or None in row.values():
                    raise _invalid(path, number, "it has another number of cells than the header")
                yield {name: plain_cell((row.get(name) or "").strip()) or None for name in COLUMNS}
    except OSError:
        raise InputError("input-not-found", f"No such manifest: {path}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        fault = f"{path.name} is not CSV in UTF-8 ({type(error).__name__})"
        raise InputError("manifest-invalid", fault) from None


def _checked(cells: Cells, path: Path, number: int) -> LabelledRow:
    def wrong(name: str, expected: str) -> InputError:
        shown = str(cells[name])[:40]
        return _invalid(path, number, f"{name} is {shown!r}", expected=expected)

    def whole_number(name: str) -> int | None:
        text = cells[name]
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 7):
            raise wrong(name, "a slice, counted from 0")
        return int(text)

    if empty := [name for name in _NEVER_EMPTY if not cells[name]]:
        raise _invalid(path, number, f"it has no {empty[0]}")
    if control := [name for name, text in cells.items() if text and _NO_TEXT.search(text)]:
        raise _invalid(path, number, f"{control[0]} contains control characters")
    for name, allowed in (("group", get_args(Group)), ("labels", get_args(Labels))):
        if cells[name] is not None and cells[name] not in allowed:
            raise wrong(name, " | ".join(allowed))
    if safe_name(str(cells["case"])) != cells["case"]:
        raise wrong("case", "a name that a file may have")
    for name in ("sha256", "mask_sha256"):
        if cells[name] is not None and not re.fullmatch("[0-9a-f]{64}", str(cells[name])):
            raise wrong(name, "a SHA-256 of 64 hexadecimal digits")
    if cells["negative"] not in (None, "yes", "no"):
        raise wrong("negative", "yes, no or nothing")
    negative = cells["negative"] == "yes"
    if cells["mask"] is None and not negative:
        raise _invalid(
            path,
            number,
            "it has no mask",
            expected="a mask, or negative: yes where the image shows no infection",
        )
    try:
        weight = float(cells["weight"] or "1")
    except ValueError:
        weight = math.nan
    if not 0 < weight <= HEAVIEST:
        raise wrong("weight", f"a number above 0 and up to {HEAVIEST:g}")
    first, last = whole_number("first_slice"), whole_number("last_slice")
    if first is not None and last is not None and first > last:
        raise _invalid(path, number, f"its slices end ({last}) before they begin ({first})")
    return LabelledRow(
        number=number,
        case=str(cells["case"]),
        patient=cells["patient"],
        group=cells["group"],  # type: ignore[arg-type]
        image=str(cells["image"]),
        mask=cells["mask"],
        source=str(cells["source"]),
        sha256=str(cells["sha256"]),
        mask_sha256=cells["mask_sha256"],
        lungs=cells["lungs"],
        labels=cells["labels"] or "infection",  # type: ignore[arg-type]
        negative=negative,
        first_slice=first,
        last_slice=last,
        weight=weight,
    )


class _Together:
    """What only several rows show: a case twice, an image twice, a patient on both sides."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cases: dict[str, LabelledRow] = {}
        self.units: dict[str, LabelledRow] = {}
        self.images: dict[str, LabelledRow] = {}

    def check(self, row: LabelledRow) -> None:
        """Raise InputError where ``row`` does not go with one before it."""
        name = row.case.casefold()  # some file systems know no other
        if (before := self.cases.setdefault(name, row)) is not row:
            fault = f"the case {row.case} is in row {before.number}, too"
            raise _invalid(self.path, row.number, fault)
        if (before := self.images.setdefault(row.sha256, row)) is not row:
            fault = f"its image is that of row {before.number} ({before.case})"
            raise _invalid(self.path, row.number, fault, expected="every image once")
        before = self.units.setdefault(row.unit, row)
        if before.group != row.group:
            raise InputError(
                "patient-on-both-sides",
                f"{self.path.name}, row {row.number} ({row.case}): its patient is in {row.group}, "
                f"and in {before.group} in row {before.number}",
                expected="all images of a patient in one group",
            )


def _invalid(path: Path, number: int, fault: str, *, expected: str = "") -> InputError:
    return InputError("manifest-invalid", f"{path.name}, row {number}: {fault}", expected=expected)
