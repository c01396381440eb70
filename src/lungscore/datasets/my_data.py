"""A folder of one's own images and masks: which belong together, and their manifest.

Two layouts. With a folder ``images``, the mask of images/NAME lies in masks/NAME and a mask of its
lungs, where there is one, in lungs/NAME. Without it, masks lie beside their images and are called
NAME_mask and NAME_lungs. NAME is the path without the ending of the format; a DICOM series is a
folder, and its NAME is that of the folder. ``cases.csv`` says of images what files cannot.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lungscore.datasets.examine import open_visit
from lungscore.datasets.labelled_image import is_png, read_labelled_image, read_mask_picture
from lungscore.datasets.labelled_manifest import (
    Cells,
    LabelledRow,
    checksum,
    labelled_rows,
    read_labelled,
)
from lungscore.datasets.records import Problem
from lungscore.datasets.split import group_of
from lungscore.datasets.tables import read_table
from lungscore.datasets.visit import Visit
from lungscore.errors import InputError, LungscoreError
from lungscore.guard import reported
from lungscore.scan.masks import read_label_volume
from lungscore.scan.names import ENDINGS, safe_name
from lungscore.scan.recognise import content_of
from lungscore.scan.slices import natural_order

NAME = "my-data"

#: What it is, in a sentence.
WHAT = (
    "a folder of your own images and masks: images/NAME and masks/NAME, or NAME and NAME_mask "
    "(docs/datasets.md)"
)

#: The table of what files cannot say, in the folder; its first column names the image.
TABLE = "cases.csv"

#: Its columns besides "image", each as in the manifest.
TABLE_COLUMNS = (
    *("case", "patient", "group", "source", "labels", "negative"),
    *("first_slice", "last_slice", "weight"),
)

#: Layout with a folder for each role, and names of masks that lie beside their images.
_FOLDERS = {"image": "images", "mask": "masks", "lungs": "lungs"}
_ENDS = {"mask": "_mask", "lungs": "_lungs"}

#: Code of an error of one image -> code of the problem; every other one is "image-unreadable".
_PROBLEM_OF = {
    "content-changed": "content-changed",
    "constant-image": "image-constant",
    "input-empty": "image-empty",
    "input-not-found": "file-missing",
    "manifest-invalid": "table-values",
    "mask-empty": "mask-empty",
    "mask-geometry": "mask-geometry",
    "mask-labels": "label-values",
    "no-lungs": "no-lungs",
    "patient-on-both-sides": "patient-on-both-sides",
}


@dataclass(frozen=True)
class Examined:
    """What the images and masks of one's own are. rows: those that are whole."""

    rows: list[LabelledRow]
    problems: tuple[Problem, ...]


def examine_folder(
    root: Path,
    *,
    threads: int = 1,
    report: Callable[[int], None] = lambda count: None,
    ignored: tuple[Path, ...] = (),
) -> Examined:
    """Pair the images and masks in the folder ``root`` and read each of them; nothing is written.

    Paths of the rows are relative to ``root``. ignored: files that are not data (the manifest).
    Raises InputError input-not-found or input-empty.
    """
    root = root.resolve()
    visit = open_visit(root)
    visit.use(*(path for path in ignored if path.is_relative_to(root)))
    summed = [_with_sums(visit, entry) for entry in _entries(visit)]
    cells = [entry for entry in summed if entry is not None]
    meanings = _labels_of(root, cells)
    cells = [
        {**entry, "labels": entry["labels"] or meaning}
        for entry, meaning in zip(cells, meanings, strict=True)
    ]

    def refused(number: int, case: str | None, error: InputError) -> None:
        visit.problems.append(_problem(cells[number - 1]["image"] or "", error))

    rows = labelled_rows(cells, Path(TABLE), refused=refused)
    whole = _whole(rows, root, visit.problems, threads, report)
    return Examined(whole, visit.told())


def examine_manifest(
    path: Path, *, threads: int = 1, report: Callable[[int], None] = lambda count: None
) -> Examined:
    """Read every image and mask of a manifest. Raises InputError as ``read_labelled``."""
    problems: list[Problem] = []

    def refused(number: int, case: str | None, error: InputError) -> None:
        problems.append(_problem(f"row {number}", error))

    rows = read_labelled(path, refused=refused)
    whole = _whole(rows, path.resolve().parent, problems, threads, report)
    return Examined(whole, tuple(problems))


def _whole(
    rows: list[LabelledRow],
    folder: Path,
    problems: list[Problem],
    threads: int,
    report: Callable[[int], None],
) -> list[LabelledRow]:
    """The rows whose image and masks can be read; the others are told to ``problems``."""

    def look(row: LabelledRow) -> Problem | None:
        try:
            with reported(row.image):
                read_labelled_image(row, folder)
        except LungscoreError as error:
            return _problem(row.image, error)
        return None

    whole = []
    with ThreadPoolExecutor(threads) as pool:
        for number, (row, fault) in enumerate(zip(rows, pool.map(look, rows), strict=True), 1):
            report(number)
            if fault is None:
                whole.append(row)
            else:
                problems.append(fault)
    return whole


def _problem(path: str, error: LungscoreError) -> Problem:
    code = _PROBLEM_OF.get(error.code, "image-unreadable")
    expected = f" (expected: {error.expected})" if error.expected else ""
    return Problem(code, path, f"{error.found}{expected}")


@dataclass
class _Files:
    """What has one NAME, by role."""

    image: list[Path] = field(default_factory=list)
    mask: list[Path] = field(default_factory=list)
    lungs: list[Path] = field(default_factory=list)


def _entries(visit: Visit) -> Iterator[dict[str, str | None]]:
    """The cells of every image that has its mask or is negative; the rest is told."""
    facts = _table(visit)
    names = _names(visit)
    for name in sorted(names, key=lambda text: natural_order(Path(text))):
        files = names[name]
        paths = [*files.image, *files.mask, *files.lungs]
        if len(files.image) > 1 or len(files.mask) > 1 or len(files.lungs) > 1:
            also = ", ".join(visit.relative(path) for path in paths)
            visit.problem("pair-ambiguous", paths[0], f"all of one name: {also}")
            continue
        if not files.image:
            visit.problem("file-missing", paths[0], "the image of this mask is not there")
            continue
        image = visit.relative(files.image[0])
        row = facts.pop(image, {})
        if not files.mask and row.get("negative") != "yes":
            fault = f"it has no mask, and {TABLE} does not say that it is negative"
            visit.problem("file-missing", image, fault)
            continue
        patient = row.get("patient")
        case = row.get("case") or safe_name(name.replace("/", "-"))
        yield {
            "case": case,
            "patient": patient,
            "group": row.get("group") or _group(patient or case),
            "image": image,
            "mask": visit.relative(files.mask[0]) if files.mask else None,
            "source": row.get("source") or NAME,
            "lungs": visit.relative(files.lungs[0]) if files.lungs else None,
            **{key: row.get(key) for key in ("labels", "negative")},
            **{key: row.get(key) for key in ("first_slice", "last_slice", "weight")},
        }
    for image in facts:
        visit.problem("file-missing", image, f"{TABLE} names it")


def _group(unit: str) -> str:
    """Train, or test by checksum; folds of the training cases take the place of a validation."""
    return "test" if group_of(NAME, unit) == "test" else "train"


def _table(visit: Visit) -> dict[str, Mapping[str, str | None]]:
    """image -> what cases.csv says of it, by column; empty where there is no table."""
    facts: dict[str, Mapping[str, str | None]] = {}
    for line, cells in read_table(visit, TABLE, ("image",), optional=True):
        row = {name.casefold(): text or None for name, text in cells.items()}
        if unknown := [name for name in row if name not in ("image", *TABLE_COLUMNS)]:
            fault = f"it has the column {unknown[0]!r}; known are image, {', '.join(TABLE_COLUMNS)}"
            visit.problem("table-columns", TABLE, fault)
            return {}
        image = (row.pop("image") or "").strip("/")
        if not image or image in facts:
            fault = f"line {line} names {'an image again' if image else 'no image'}"
            visit.problem("table-values", TABLE, fault)
            continue
        facts[image] = row
    return facts


def _names(visit: Visit) -> dict[str, _Files]:
    """NAME -> its files; what is neither image nor mask is told."""
    names: dict[str, _Files] = defaultdict(_Files)
    dicom: dict[Path, list[Path]] = defaultdict(list)
    with_folders = (visit.root / _FOLDERS["image"]).is_dir()
    base = visit.root / _FOLDERS["image"] if with_folders else visit.root
    for path in sorted(visit.root.rglob("*")):
        below = path.relative_to(visit.root)
        if not path.is_file() or any(text.startswith(".") for text in below.parts):
            continue
        role, name = _role(below, with_folders=with_folders)
        content = _content(path)
        if role is None or content in ("zip", "other") or visit.relative(path) == TABLE:
            continue  # told as left over, unless somebody used it
        visit.use(path)
        if role == "image" and content == "dicom":
            dicom[path.parent].append(path)
        else:
            getattr(names[name], role).append(path)
    for folder, files in dicom.items():
        _add_dicom(visit, names, folder, files, base)
    visit.leftovers()
    return names


def _add_dicom(
    visit: Visit, names: dict[str, _Files], folder: Path, files: list[Path], base: Path
) -> None:
    """A folder of DICOM files is a series, unless its files have masks of their own."""
    by_name = {_stem(path.relative_to(base).as_posix()): path for path in files}
    own_masks = [name for name in by_name if name in names and names[name].mask]
    series = folder.relative_to(base).as_posix()
    series_mask = folder != base and series in names and bool(names[series].mask)
    if own_masks and series_mask:
        fault = f"a mask for the series and one for {Path(own_masks[0]).name} in it"
        visit.problem("pair-ambiguous", folder, fault)
        del names[series]
        for name in own_masks:
            del names[name]
    elif own_masks or folder == base:
        for name, path in by_name.items():
            names[name].image.append(path)
    else:
        names[series].image.append(folder)


def _role(below: Path, *, with_folders: bool) -> tuple[str | None, str]:
    """What a file is by where it lies or what it is called, and its NAME."""
    if with_folders:
        for role, folder in _FOLDERS.items():
            if len(below.parts) > 1 and below.parts[0] == folder:
                return role, _stem(Path(*below.parts[1:]).as_posix())
        return None, ""
    name = _stem(below.as_posix())
    for role, end in _ENDS.items():
        if name.endswith(end) and Path(name).name != end:
            return role, name.removesuffix(end)
    return "image", name


def _stem(path: str) -> str:
    for ending in ENDINGS:
        if path.lower().endswith(ending):
            return path[: -len(ending)]
    return path


def _content(path: Path) -> str:
    try:
        return content_of(path)
    except OSError:
        return "unreadable"  # for its reader to say


def _with_sums(visit: Visit, cells: dict[str, str | None]) -> dict[str, str | None] | None:
    """The cells with the checksums of image and mask; None, and a problem, where one is closed."""
    sums = {}
    for column, path in (("sha256", cells["image"]), ("mask_sha256", cells["mask"])):
        try:
            sums[column] = None if path is None else checksum(visit.root / path)
        except OSError as error:
            visit.problem("image-unreadable", path or "", error.strerror or "it cannot be read")
            return None
    return {**cells, **sums}


def _labels_of(root: Path, table: list[dict[str, str | None]]) -> list[str]:
    """What each mask marks: of those that hold 0, 1 and 2, a 2 in any says that all are classes.

    A picture of 0 and 255 marks infection.
    """
    highest = [_highest(root, cells) for cells in table]
    small = "classes" if 2 in highest else "infection"
    return ["infection" if level == 255 else small for level in highest]


def _highest(root: Path, cells: Cells) -> int:
    """The highest value of a mask; 0 where there is none, or what it means is stated."""
    if cells["mask"] is None or cells["labels"] is not None:
        return 0
    path = root / cells["mask"]
    try:
        labels = read_mask_picture(path) if is_png(path) else read_label_volume(path, "lesions")[0]
    except LungscoreError:
        return 0  # for the look at the image to say
    return int(labels.max())
