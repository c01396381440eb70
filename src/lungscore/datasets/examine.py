"""The whole of a dataset, file by file, in bounded memory: rows for a manifest, and problems."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from lungscore.datasets.dataset import Dataset
from lungscore.datasets.integrity import Looked, look
from lungscore.datasets.manifest import Row
from lungscore.datasets.records import Group
from lungscore.datasets.split import group_of
from lungscore.datasets.visit import Visit
from lungscore.errors import InputError
from lungscore.scan.dicom.header import quiet_pydicom

#: Files that are looked at ahead of the one that is next.
_AHEAD = 16

#: Entries between two reports of progress.
_EVERY = 1000


def open_visit(root: Path) -> Visit:
    """A visit to the folder of a dataset. Raises input-not-found or input-empty."""
    if not root.is_dir():
        raise InputError(
            "input-not-found",
            f"No such folder: {root}",
            hint="Give the folder into which the dataset was unpacked",
        )
    if not any(root.iterdir()):
        raise InputError("input-empty", f"{root.name} is empty")
    return Visit(root)


def examine(
    dataset: Dataset,
    visit: Visit,
    *,
    threads: int = 1,
    report: Callable[[int], None] = lambda count: None,
) -> Iterator[Row]:
    """A row for every whole image of ``dataset``, in its own order; the rest is told to ``visit``.

    Every image is read to its end. Paths of rows are relative to the visit's root. What cannot be
    known before the end (a patient with two classes, say) is told when it is met: rows of that
    patient may have been yielded before.
    report: is given the number of images looked at, now and then.
    """
    conflicts = _Conflicts(dataset, visit)
    visit.patients = None if dataset.patients is None else list(dataset.patients(visit))
    with quiet_pydicom():
        for number, looked in enumerate(_looks(dataset, visit, threads), start=1):
            entry = looked.entry
            visit.use(entry.path, entry.mask, *(companion.path for companion in entry.companions))
            visit.problems += looked.problems
            if number % _EVERY == 0:
                report(number)
            if not looked.problems:
                row = _row(dataset, looked)
                if conflicts.allow(row):
                    yield row
    visit.leftovers()


def _looks(dataset: Dataset, visit: Visit, threads: int) -> Iterator[Looked]:
    """The look at every entry, in order, a few of them at once."""
    entries = dataset.walk(visit)
    if threads == 1:
        yield from (look(visit.root, entry) for entry in entries)
        return
    waiting: deque[Future[Looked]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for entry in entries:
                waiting.append(pool.submit(look, visit.root, entry))
                if len(waiting) > _AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _row(dataset: Dataset, looked: Looked) -> Row:
    entry = looked.entry
    return Row(
        case=entry.case,
        patient=entry.patient,
        group=entry.group or group_of(dataset.name, entry.patient or entry.case),
        label=entry.label,
        slice_label=entry.slice_label,
        source=dataset.name,
        kind=entry.kind,
        path=entry.path,
        mask=entry.mask,
        sha256=looked.sha256 or "",
        mask_sha256=looked.mask_sha256,
    )


class _Conflicts:
    """What only several rows together show. Keeps 150 to 300 bytes an image."""

    def __init__(self, dataset: Dataset, visit: Visit) -> None:
        self.dataset, self.visit = dataset, visit
        self.classes: dict[str, str] = {}
        self.groups: dict[str, Group] = {}
        self.images: dict[bytes, _Said] = {}
        self.said: dict[_Said, _Said] = {}
        self.told: set[tuple[str, str]] = set()

    def allow(self, row: Row) -> bool:
        """Whether the row stands in no conflict with one before it; if not, the visit is told."""
        checks = (self._known_class, self._one_class, self._one_side, self._one_patient)
        return all(check(row) for check in checks)

    def _known_class(self, row: Row) -> bool:
        for label, known in (
            (row.label, self.dataset.labels),
            (row.slice_label, self.dataset.slice_labels),
        ):
            if label is not None and known and label not in known:
                fault = f"the class {label!r}; known are {', '.join(known)}"
                self.visit.problem("class-unknown", row.path, fault)
                return False
        return True

    def _one_class(self, row: Row) -> bool:
        if row.patient is None or row.label is None:
            return True
        if self.classes.setdefault(row.patient, row.label) == row.label:
            return True
        fault = f"patient {row.patient} is {self.classes[row.patient]} and {row.label}"
        self._tell("patient-in-two-classes", row, fault)
        return False

    def _one_side(self, row: Row) -> bool:
        who = row.unit
        if self.groups.setdefault(who, row.group) == row.group:
            return True
        fault = f"{who} is in {self.groups[who]} and {row.group}"
        self._tell("patient-on-both-sides", row, fault)
        return False

    def _tell(self, code: str, row: Row, fault: str) -> None:
        """The patient is in conflict; told with the first image of every scan that shows it."""
        self.visit.in_conflict.add(row.unit)
        if (code, row.case) not in self.told:
            self.told.add((code, row.case))
            self.visit.problem(code, row.path, fault)

    def _one_patient(self, row: Row) -> bool:
        said = _Said(row.unit, row.patient, row.group, row.label, row.slice_label, row.mask_sha256)
        digest = bytes.fromhex(row.sha256)
        first = self.images.get(digest)
        if first is None:
            self.images[digest] = self.said.setdefault(said, said)
        elif first.unit == said.unit:
            fault = f"the same image occurred there for {said.unit}"
            self.visit.problem("duplicate-copy", row.path, fault)
        elif first.allows(said):
            fault = f"the same image occurred there for {first.unit}; this copy was left out"
            self.visit.problem("duplicate-copy", row.path, fault)
        else:
            fault = f"the same image is filed under {first.unit} and {said.unit}"
            self.visit.problem("duplicate-image", row.path, fault)
            self.visit.in_conflict |= {first.unit, said.unit}
        return first is None or first.unit == said.unit


class _Said(NamedTuple):
    """Whose an image is (unit: the case where no patient is known), and what is said of it."""

    unit: str
    patient: str | None
    group: Group
    label: str | None
    slice_label: str | None
    mask_sha256: str | None

    def allows(self, statement: "_Said") -> bool:
        """Whether one image can be both: one names no patient, or neither does and all is equal."""
        if self.patient is None and statement.patient is None:
            return self[2:] == statement[2:]
        return self.patient is None or statement.patient is None
