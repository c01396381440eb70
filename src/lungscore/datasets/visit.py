"""One walk through the folder of a dataset: what was met, counted and found wrong."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from lungscore.datasets.records import Count, Patient, Problem
from lungscore.scan.slices import natural_order

PICTURES = frozenset({".png", ".jpg", ".jpeg"})
VOLUMES = (".nii", ".nii.gz", ".mha")

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".rar", ".7z", ".gz")
_UNFINISHED = (".part", ".crdownload", ".aria2", ".download", ".partial", ".tmp")

#: Files that lie beside any download and mean nothing.
_HARMLESS = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
_TEXTS = ("readme", "license", "licence", "citation", ".git")


class Visit:
    """The folder ``root`` of a dataset, and what a walk through it says.

    Every file must be used by somebody: as an image or a mask (``entry`` paths), or with ``use``
    for tables and the like. What nobody used is reported by ``leftovers``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[Problem] = []
        self.counts: list[Count] = []
        #: The dataset's table of patients, where it has one.
        self.patients: list[Patient] | None = None
        #: Patients (or cases) of whom two things are said that cannot both be true.
        self.in_conflict: set[str] = set()
        self._used: set[str] = set()

    def problem(self, code: str, path: str | Path, finding: str) -> None:
        """Report what is wrong with a file or a part."""
        # Bytes of a name that are not UTF-8 cannot be printed or written.
        name = self.relative(path).encode("utf-8", "replace").decode()
        self.problems.append(Problem(code, name, finding))

    def told(self) -> tuple[Problem, ...]:
        """All problems, by path: whatever the order in which files were looked at."""
        return tuple(
            sorted(
                self.problems, key=lambda problem: (natural_order(Path(problem.path)), problem.code)
            )
        )

    def use(self, *paths: str | Path | None) -> None:
        """These files are known and used."""
        self._used.update(self.relative(path) for path in paths if path is not None)

    def use_folder(self, name: str) -> None:
        """All below the folder ``name``, if anything, is known and not looked at (code, say)."""
        self.use(*(path for path in (self.root / name).rglob("*") if path.is_file()))

    def count(self, name: str, number: int, published: int | None) -> None:
        """So many were found; fewer than published is a problem."""
        self.counts.append(Count(name, number, published))
        if published is not None and number < published:
            self.problem("count-short", name, f"{number} of {published}")
        elif published is not None and number > published:
            self.problem("count-above", name, f"{number}, published were {published}")

    def relative(self, path: str | Path) -> str:
        """``path`` below the root with forward slashes; text is left as it is."""
        if isinstance(path, str):
            return path
        return path.relative_to(self.root).as_posix()

    def folder(self, name: str) -> Path | None:
        """The folder ``name``, or None and a problem."""
        path = self.root / name
        try:
            os.scandir(path).close()
        except (FileNotFoundError, NotADirectoryError):
            self.problem("folder-missing", name, "there is no such folder")
        except OSError as error:
            self._closed(error)
        else:
            return path
        return None

    def files(self, name: str, suffixes: Iterable[str] = PICTURES) -> list[Path]:
        """The files in the folder ``name`` that end so, in natural order of their names."""
        folder = self.folder(name)
        return [] if folder is None else files_in(folder, suffixes)

    def folders(self, name: str) -> list[Path]:
        """The folders in the folder ``name``, in natural order; a missing one is a problem."""
        folder = self.folder(name)
        if folder is None:
            return []
        inside = (path for path in folder.iterdir() if path.is_dir())
        return sorted((path for path in inside if not path.name.startswith(".")), key=natural_order)

    def pairs(self, images: list[Path], masks: list[Path]) -> Iterator[tuple[Path, Path]]:
        """(image, mask) by stem; what has no partner is a problem, and is not yielded."""
        by_stem = {stem(mask): mask for mask in masks}
        for image in images:
            mask = by_stem.pop(stem(image), None)
            if mask is None:
                self._alone(image, masks, f"the label of {self.relative(image)}")
            else:
                yield image, mask
        for mask in by_stem.values():
            self._alone(mask, images, f"the image of {self.relative(mask)}")

    def _alone(self, path: Path, partners: list[Path], missing: str) -> None:
        """``path`` has no partner; said of every file, unless their whole folder is missing."""
        self.use(path)
        if partners:
            self.problem("file-missing", partner(path, partners), f"{missing} is not there")
        elif not any(problem.code == "folder-missing" for problem in self.problems):
            self.problem("file-missing", path, f"{missing} is not there")

    def _closed(self, error: OSError) -> None:
        path = Path(error.filename)
        self.problem("folder-missing", path, f"it cannot be opened ({error.strerror})")

    def leftovers(self) -> None:
        """Report every file that nobody used."""
        for folder, folders, names in os.walk(self.root, onerror=self._closed):
            folders[:] = sorted(f for f in folders if not f.startswith((".", "__MACOSX")))
            below = self.relative(Path(folder))
            prefix = "" if below == "." else f"{below}/"
            for name in sorted(names):
                if f"{prefix}{name}" not in self._used and not _harmless(name):
                    self.problem(_stray(name), f"{prefix}{name}", "it was left out")


def files_in(folder: Path, suffixes: Iterable[str] = PICTURES) -> list[Path]:
    """The files in ``folder`` that end so (any letter case), in natural order; hidden ones not."""
    wanted = tuple(suffixes)
    with os.scandir(folder) as inside:
        names = [entry.name for entry in inside if entry.is_file()]
    return sorted(
        (folder / n for n in names if not n.startswith(".") and n.lower().endswith(wanted)),
        key=natural_order,
    )


def stem(path: Path) -> str:
    """The name without suffixes of pictures and volumes."""
    name = path.name
    for suffix in (".nii.gz", ".nii", ".mha", *PICTURES):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def partner(path: Path, siblings: list[Path]) -> Path:
    """Where the file that belongs to ``path`` should lie among ``siblings``, named like them."""
    second = siblings[0]
    return second.with_name(stem(path) + second.name.removeprefix(stem(second)))


def _harmless(name: str) -> bool:
    low = name.lower()
    return low in _HARMLESS or low.startswith((*_TEXTS, "._"))


def _stray(name: str) -> str:
    low = name.lower()
    if low.endswith(_UNFINISHED):
        return "download-unfinished"
    if low.endswith(_ARCHIVES) and not low.endswith(".nii.gz"):
        return "archive-left"
    return "file-unknown"
