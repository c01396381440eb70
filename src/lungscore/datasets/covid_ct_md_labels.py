"""Which slices of COVID-CT-MD are infected, and in which lobes: two arrays and their index.

Slice-level-labels.npy is (case, slice), Lobe-level-labels.npy (case, slice, lobe), 0 or 1, filled
up with zeros behind the last slice of a case; slices run from superior to inferior. Files called
…-updated-1.npy are the authors' later corrections of P001 and P006 and are preferred.

Of single patients the same may stand in PATIENT_labels.csv beside them: one row a slice, with the
columns slice_superior_to_inferior, infected and the five lobes.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lungscore.datasets.tables import read_table
from lungscore.datasets.visit import Visit
from lungscore.errors import InputError
from lungscore.scan.dicom.header import element_value, parse

INDEX = "Index.csv"
SLICES, LOBES = "Slice-level-labels", "Lobe-level-labels"

#: Lobes along the last axis of the lobe array. Source: the dataset's README.
LOBE_ORDER = ("LLL", "LUL", "RLL", "RML", "RUL")

#: The end of the name of a table of one patient, and its column that numbers slices from 0.
TABLE, _NUMBER = "_labels.csv", "slice_superior_to_inferior"

SLICE_LABELS = ("not-infected", "infected")

#: Patients whose slices are labelled: 54 with COVID-19, 25 with another pneumonia.
LABELLED = 79


def read_labels(visit: Visit) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(slices,) and (slices, 5) booleans by patient; empty where the files cannot be used."""
    slices, lobes = _of_tables(visit)
    labelled = set(slices)
    if not slices or (visit.root / INDEX).is_file():
        index = _index(visit)
        arrays = (_array(visit, SLICES, axes=2), _array(visit, LOBES, axes=3))
        slices |= _by_patient(visit, index, arrays[0])
        lobes |= _by_patient(visit, index, arrays[1])
        labelled |= index.keys()
    visit.count("patients with slice labels", len(labelled), LABELLED)
    return slices, lobes


def _of_tables(visit: Visit) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The labels that stand in tables of single patients."""
    slices, lobes = {}, {}  # patient -> (slices,) and (slices, 5)
    columns = (_NUMBER, "infected", *LOBE_ORDER)
    for path in sorted(visit.root.glob(f"*{TABLE}")):
        who = path.name.removesuffix(TABLE)
        rows: list[list[bool]] = []
        for line, row in read_table(visit, path.name, columns):
            cells = [row[name] for name in columns[1:]]
            if row[_NUMBER] != str(len(rows)) or not set(cells) <= {"0", "1"}:
                found = f"line {line}: slice {row[_NUMBER]!r}, {', '.join(cells)}; known are 0, 1"
                visit.problem("table-values", path.name, found)
                break
            rows.append([cell == "1" for cell in cells])
        else:
            if rows:
                labels = np.array(rows)
                slices[who], lobes[who] = labels[:, 0], labels[:, 1:]
    return slices, lobes


def _index(visit: Visit) -> dict[str, int]:
    """patient -> "Label Index" of the table, in its order of that."""
    found: dict[str, int] = {}
    for line, row in read_table(visit, INDEX, ("Label Index", "Diagnosis", "Folder/ID")):
        who, number = row["Folder/ID"], row["Label Index"]
        if not number.isdecimal() or not who:
            visit.problem("table-values", INDEX, f"line {line}: {who!r} has the index {number!r}")
        elif who in found or int(number) in found.values():
            visit.problem("duplicate-patient", INDEX, f"{who} or its index occurs twice")
        else:
            found[who] = int(number)
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _array(visit: Visit, name: str, *, axes: int) -> tuple[str, np.ndarray] | None:
    """The name of the array's file and the array, or None and a problem."""
    original, updated = f"{name}.npy", f"{name}-updated-1.npy"
    visit.use(original, updated)
    place = updated if (visit.root / updated).is_file() else original
    path = visit.root / place
    if not path.is_file():
        visit.problem("table-missing", place, "there is no such array")
        return None
    try:
        # Mapped, not read: a header cannot ask for more memory than the file has bytes.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        pickled = "allow_pickle" in str(error) or "Python objects" in str(error)
        found = (
            "it holds Python objects, which are not read as they may run code; download the "
            "original anew, or save it as numbers: numpy.save(name, array.astype('uint8'))"
            if pickled
            else "it is not a complete .npy file"
        )
        visit.problem("table-values", place, found)
        return None
    right = isinstance(array, np.ndarray) and array.ndim == axes and array.dtype.kind in "biuf"
    if not right or (axes == 3 and array.shape[2] != len(LOBE_ORDER)):
        shape = getattr(array, "shape", "several arrays")
        visit.problem("table-values", place, f"its shape is {shape}, its axes should be {axes}")
        return None
    if not np.isin(array, (0, 1)).all():
        visit.problem("table-values", place, "it holds other values than 0 and 1")
        return None
    return place, array.astype(bool)


def _by_patient(
    visit: Visit, index: Mapping[str, int], found: tuple[str, np.ndarray] | None
) -> dict[str, np.ndarray]:
    """The part of an array that is each patient's.

    In the published Index.csv the numbers leap from 42 to 44, while the arrays have no empty case:
    as many cases as rows means the order of the numbers, not the numbers themselves. An array with
    a case for every number (the leap included) means the numbers.
    """
    if found is None or not index:
        return {}
    place, array = found
    if len(array) == max(index.values()) + 1:
        return {who: array[number] for who, number in index.items()}
    if len(array) == len(index):
        return dict(zip(index, array, strict=True))
    text = f"it has {len(array)} cases, {INDEX} has {len(index)}"
    visit.problem("table-values", place, text)
    return {}


def label_slices(
    visit: Visit, files: Sequence[Path], infected: np.ndarray, *, complete: bool
) -> Mapping[Path, str]:
    """file -> its label, superior first; nothing, and a problem, where the order is in doubt."""
    locations = [_location(path) for path in files]
    problem = ""
    if not complete:
        problem = "slices are missing"
    elif None in locations or len(set(locations)) < len(files):
        problem = "the slice locations are missing or not all different"
    elif infected[len(files) :].any():
        last = int(np.flatnonzero(infected)[-1]) + 1
        problem = f"slice {last} is labelled as infected, there are {len(files)} slices"
    if problem:
        who = files[0].parent.name
        visit.problem("table-values", SLICES, f"not used for {who}: {problem}")
        return {}
    downwards = sorted(zip(locations, files, strict=True), reverse=True)
    return {path: SLICE_LABELS[int(infected[i])] for i, (_, path) in enumerate(downwards)}


def _location(path: Path) -> float | None:
    """Slice Location (0020,1041) in mm, upwards."""
    try:
        header = parse(path, ["SliceLocation"], with_pixels=False)
        location = float(element_value(header, "SliceLocation"))
    except (InputError, TypeError, ValueError):
        return None
    return location if math.isfinite(location) else None
