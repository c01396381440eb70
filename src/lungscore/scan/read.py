"""A scan from anywhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path

from lungscore.errors import InputError, Notice, UsageError
from lungscore.guard import reported
from lungscore.scan.archive import unpacked
from lungscore.scan.names import case_name, safe_name
from lungscore.scan.recognise import Inventory, content_of, find
from lungscore.scan.scan import Scan
from lungscore.scan.volume import to_scan
from lungscore.scan.volume_files import read_volume


def read_scan(
    path: str | PathLike[str],
    *,
    series: str | None = None,
    allow_gaps: bool = False,
    name: str | None = None,
) -> Scan:
    """Read a chest CT in one convention, whatever its format.

    Parameters
    ----------
    path : path
        A DICOM folder (with all its subfolders) or file, NIfTI, NRRD, MetaImage, a PNG or JPEG
        slice or a folder of slices, or a zip of any of these. Recognised by content, not by name.
    series : str, optional
        SeriesInstanceUID to read, instead of the one chosen by rule (docs/inputs.md).
    allow_gaps : bool
        Interpolate missing DICOM slices instead of rejecting the series.
    name : str, optional
        Name of the case; by default the name of the file or folder.

    Returns
    -------
    Scan
        ``values`` is (D, H, W), superior to inferior, anterior to posterior and right to left, in
        Hounsfield units or, for windowed images, grey levels.

    Raises
    ------
    InputError
        With a stable code (docs/errors.md) that says why the input cannot be analysed.
    ResourceError
        ``disk-full`` while unpacking an archive.

    Examples
    --------
    >>> from pathlib import Path
    >>> from lungscore import read_scan
    >>> from lungscore.scan.phantom import make_phantom
    >>> from lungscore.scan.write import write_nifti
    >>> write_nifti(make_phantom("healthy", shape=(24, 96, 96)).scan, Path("chest.nii.gz"))
    >>> read_scan("chest.nii.gz")
    Scan('chest', nifti, 24 × 96 × 96, 11.67 × 3.733 × 3.733 mm, hu)
    """
    path = Path(path)
    with opened(path) as inventory:
        return read_inventory(path, inventory, series=series, allow_gaps=allow_gaps, name=name)


@contextmanager
def opened(path: Path) -> Iterator[Inventory]:
    """The files of the input at ``path``, unpacked for as long as the block lasts."""
    if not _is_archive(path):
        yield find(path)
        return
    with unpacked(path) as folder:
        try:
            inventory = find(folder)
        except InputError as error:
            if error.code == "input-empty":
                raise InputError("input-empty", f"{path.name} contains no image") from None
            raise InputError(
                error.code,
                error.found.replace(folder.name, path.name),
                expected=error.expected,
                hint=error.hint,
            ) from None
        yield replace(inventory, archive=True)


@contextmanager
def source_of(
    given: str | PathLike[str] | Scan, *, series: str | None, allow_gaps: bool, name: str | None
) -> Iterator[Callable[[], Scan]]:
    """A function that reads ``given``, or gives it back where it is a Scan.

    Archives stay unpacked for as long as the block lasts. Raises UsageError for options of files
    with a Scan.
    """
    if isinstance(given, Scan):
        if series is not None or allow_gaps:
            raise UsageError("usage", "series and allow_gaps apply to files, not to a Scan")
        scan = given if name is None else replace(given, name=safe_name(name))
        yield lambda: scan
        return
    path = Path(given)
    with opened(path) as files:
        yield lambda: read_inventory(path, files, series=series, allow_gaps=allow_gaps, name=name)


def read_inventory(
    path: Path,
    inventory: Inventory,
    *,
    series: str | None = None,
    allow_gaps: bool = False,
    name: str | None = None,
) -> Scan:
    """The Scan of ``inventory``, the files of the input at ``path``."""
    with reported(path.name):
        return _read(path, inventory, series=series, allow_gaps=allow_gaps, name=name)


def _read(
    path: Path, inventory: Inventory, *, series: str | None, allow_gaps: bool, name: str | None
) -> Scan:
    if series is not None and inventory.content != "dicom":
        raise InputError("series-not-found", f"{path.name} is not DICOM and has no series")
    ignored = inventory.ignored
    try:
        if inventory.content == "dicom":
            from lungscore.scan.dicom.read import read_dicom, read_groups

            groups = read_groups(inventory.files, inventory.names(path.name))
            ignored += groups.not_images
            volume = read_dicom(groups, series=series, allow_gaps=allow_gaps)
        elif inventory.content == "image":
            from lungscore.scan.slices import read_slices

            volume = read_slices(inventory.files, inventory.names(path.name))
        else:
            volume = read_volume(inventory.files[0], inventory.content, name=path.name)
    except FileNotFoundError:
        text = f"{path.name}: a file of it vanished while it was read"
        raise InputError("input-not-found", text) from None
    except OSError as error:
        raise InputError("input-unreadable", f"{path.name}: {error.strerror}") from error
    notices = tuple(_ignored_notices(inventory, ignored))
    volume = replace(volume, notices=(*notices, *volume.notices))
    return to_scan(volume, case_name(path, name), path.name, allow_gaps=allow_gaps)


def _ignored_notices(inventory: Inventory, ignored: int) -> Iterator[Notice]:
    if ignored:
        yield Notice(
            "files-ignored", f"{ignored} files were ignored because they are not images of the scan"
        )
    if inventory.unreadable:
        text = f"{inventory.unreadable} files or folders could not be opened and were ignored"
        yield Notice("files-ignored", text)


def _is_archive(path: Path) -> bool:
    try:
        return path.is_file() and content_of(path) == "zip"
    except (OSError, ValueError):
        return False  # for find to say
