"""The scans below a folder, told by the first bytes of their files and found one by one."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from lungscore.batch.case import Case, components_of, joined
from lungscore.errors import InputError
from lungscore.scan.limits import MAX_FOLDER_DEPTH
from lungscore.scan.names import case_name
from lungscore.scan.recognise import RESULT_FILES, VOLUMES, Content, content_of

#: Endings of files that are a scan each; with any other content they are faulty, not ignored.
_VOLUME_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".zip")
_SLICES = (".dcm", ".dicom", ".png", ".jpg", ".jpeg")


def find_cases(path: Path) -> Iterator[Case]:
    """The cases of the input at ``path``, in the order in which people count.

    A file is one case, and so is a folder that is one scan: one DICOM study, one volume, one series
    of slices. A folder of several scans yields one case each: DICOM files or slice images of one
    folder, a whole study where a folder holds nothing else, every volume and every zip file.
    docs/cohorts.md has the rules. Nothing is decoded; of DICOM one header a folder is read.
    """
    if not os.path.isdir(path):
        yield Case(case_name(path), path)
        return
    cases = _below(path, ())
    first = list(islice(cases, 2))
    if len(first) == 2:
        yield from first
        yield from cases
    elif first and first[0].path.is_file() and _content(first[0].path) == "zip":
        yield Case(case_name(first[0].path), first[0].path)
    else:
        yield Case(case_name(path), path)


@dataclass
class _Listing:
    """What lies in one folder itself. loose: its first DICOM or slice file, and what that is."""

    loose: Path | None = None
    content: Content = "other"
    volumes: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    empty: bool = True
    results: bool = False

    def children(self) -> list[Path]:
        return sorted([*self.folders, *self.volumes], key=_in_order)


def _below(folder: Path, above: tuple[str, ...]) -> Iterator[Case]:
    if len(above) > MAX_FOLDER_DEPTH:
        yield Case(_name(folder, above), folder, _too_deep(folder))
        return
    try:
        listing = _list(folder)
    except OSError:
        yield Case(_name(folder, above), folder)  # reading it will say why
        return
    if listing.results:
        return
    name = _name(folder, above)
    if listing.loose is not None:
        if _one_scan(folder, listing):
            yield Case(name, folder)
            return
        yield Case(name, folder, _beside_others(folder))
    elif (listing.empty and above) or (not listing.volumes and _one_study(listing.folders)):
        yield Case(name, folder)
        return
    names = components_of(child.name for child in listing.children())
    for child in listing.children():
        location = (*above, names[child.name])
        if child in listing.folders:
            yield from _below(child, location)
        else:
            yield Case(joined(location), child)


def _name(folder: Path, above: tuple[str, ...]) -> str:
    # The input itself must not bear the name of a folder in it.
    return joined(above or (case_name(folder), ""))


def _one_scan(folder: Path, listing: _Listing) -> bool:
    """Whether reading ``folder``, which holds DICOM files or slices, reads those alone."""
    if listing.content == "dicom":
        return _one_study(listing.folders, first=listing.loose)
    return next(_scans(listing.folders), None) is None


def _one_study(folders: list[Path], *, first: Path | None = None) -> bool:
    """Whether all DICOM below ``folders`` is of one study: that of ``first``, a DICOM file.

    Without ``first`` there must be some, and no other scan. Files that name no study are of one
    only where they lie in one folder.
    """
    study, seen = None if first is None else _study(first), first is not None
    for listing in _scans(folders):
        if listing.content != "dicom" or listing.loose is None:
            if first is None:
                return False
            continue
        uid = _study(listing.loose)
        if uid is None or (seen and uid != study):
            return False
        study, seen = uid, True
    return seen


def _scans(folders: list[Path], depth: int = 1) -> Iterator[_Listing]:
    """The listings below ``folders`` that hold a scan, as deep as reading goes."""
    if depth > MAX_FOLDER_DEPTH:
        return
    for folder in folders:
        try:
            listing = _list(folder)
        except OSError:
            continue
        if listing.loose is not None or listing.volumes:
            yield listing
        yield from _scans(listing.folders, depth + 1)


def _list(folder: Path) -> _Listing:
    """Hidden names and links to folders are left out. Raises OSError."""
    listing, files = _Listing(), []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            listing.empty = False
            if entry.is_dir(follow_symlinks=False):
                listing.folders.append(Path(entry.path))
            elif entry.name.upper() != "DICOMDIR" and entry.is_file():
                files.append(Path(entry.path))
    listing.results = set(RESULT_FILES) <= {file.name for file in files}
    _sort(sorted(files, key=_in_order), listing)
    listing.folders.sort(key=_in_order)
    return listing


def _sort(files: list[Path], listing: _Listing) -> None:
    """DICOM goes first, then volumes, then slices, as ``scan.recognise.find`` has it."""
    image: Path | None = None
    known: set[str] = set()
    for file in files:
        suffix = file.suffix.lower()
        if suffix in known:  # slices by the hundred: the first tells what they are
            continue
        content = _content(file)
        if content == "dicom" or (content in ("other", "empty") and suffix in _SLICES[:2]):
            listing.loose, listing.content = file, "dicom"
            if content == "dicom":
                listing.volumes = []
                return
        elif content == "image" or (content in ("other", "empty") and suffix in _SLICES):
            image = image or file
            if content == "image":
                known.add(suffix)
        elif content in (*VOLUMES, "zip") or file.name.lower().endswith(_VOLUME_ENDINGS):
            listing.volumes.append(file)
    if listing.volumes:
        listing.loose = None
    elif listing.loose is None and image is not None:
        listing.loose, listing.content = image, "image"


def _content(file: Path) -> Content:
    try:
        return content_of(file)
    except OSError:
        return "other"


def _study(file: Path) -> tuple[str, str] | None:
    """Patient and study of a DICOM file; None where it names no study or cannot be read."""
    from lungscore.scan.dicom.header import read_header

    try:
        header = read_header(file)
    except (InputError, OSError):
        return None
    return (header.patient, header.study) if header is not None and header.study else None


def _beside_others(folder: Path) -> InputError:
    return InputError(
        "several-inputs",
        f"{folder.name} contains slices next to folders with other scans",
        expected="the files of one scan in a folder",
        hint="Put them into a folder of their own",
    )


def _too_deep(folder: Path) -> InputError:
    return InputError(
        "folders-too-deep",
        f"{folder.name} lies more than {MAX_FOLDER_DEPTH} folders below the input",
        hint="Give it as an input of its own",
    )


def _in_order(path: Path) -> tuple:
    from lungscore.scan.slices import natural_order

    return natural_order(Path(path.name))
