"""A drop folder: what is put there is taken as if it had come over the network, and removed."""

import io
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_dataset

from lungscore.errors import InputError, LungscoreError, ResourceError
from lungscore.node.config import NodeConfig
from lungscore.node.intake import Image, Intake
from lungscore.node.journal import Journal
from lungscore.node.names import Names
from lungscore.scan.archive import unpacked
from lungscore.scan.bounded_file import BoundedFile
from lungscore.scan.dicom.elements import text
from lungscore.scan.dicom.header import CT_IMAGE, parse
from lungscore.scan.limits import MAX_FILES
from lungscore.scan.recognise import content_of

_PREAMBLE, _MAGIC = 128, b"DICM"
_UNDEFINED_LENGTH = 0xFFFFFFFF
#: Seconds without a change after which nobody is still writing a file, or filling a folder.
_SETTLED_S = 60.0


class _Seen(NamedTuple):
    """A file at a look. size: with its time of change. since: when it was first seen so.
    tried: whether it could not be taken so."""

    size: tuple[int, int]
    since: float
    tried: bool = False

    @property
    def settled(self) -> bool:
        return time.monotonic() - self.since >= _SETTLED_S


class Watch:
    """Looks through the drop folder of a node whenever ``look`` is called.

    A file is taken when it was the same at two looks and is whole: until then it may still be
    written. What cannot be taken, and has not changed for a minute, is moved to ``refused`` in the
    node's folder, under a name that tells nothing.
    """

    def __init__(
        self, folder: Path, config: NodeConfig, intake: Intake, names: Names, journal: Journal
    ) -> None:
        self._folder, self._config, self._intake = folder, config, intake
        self._names, self._journal = names, journal
        self._seen: dict[Path, _Seen] = {}

    def look(self) -> int:
        """Take what is complete; how many files that were."""
        before, self._seen, taken = self._seen, {}, 0
        for path, size in self._files():
            seen = before.get(path)
            if seen is None or seen.size != size:
                self._seen[path] = _Seen(size, time.monotonic())
                continue
            if seen.tried and not seen.settled:
                self._seen[path] = seen
                continue
            try:
                self._take(path)
            except ResourceError as error:  # no room: it stays where it is until there is
                self._seen[path] = seen
                self._journal.refuse(error)
            except LungscoreError as error:
                # Its writer may only have paused, unless no further byte can make it acceptable.
                if not seen.settled and error.code != "archive-unsafe":
                    self._seen[path] = seen._replace(tried=True)
                    continue
                self._journal.refuse(error)
                self._set_aside(path)
            except Exception as error:  # it must not keep back the files behind it
                self._journal.bug("watch", error)
            else:
                path.unlink(missing_ok=True)
                taken += 1
        self._remove_empty()
        return taken

    def _files(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        """Files with their size and time of change; links are none."""
        count = 0
        for folder, _, names in os.walk(self._folder):
            for name in sorted(names):
                path = Path(folder, name)
                try:
                    if name.startswith(".") or path.is_symlink() or not path.is_file():
                        continue
                    about = path.stat()
                except OSError:
                    continue  # it is being moved
                yield path, (about.st_size, about.st_mtime_ns)
                count += 1
                if count == MAX_FILES:
                    return

    def _take(self, path: Path) -> None:
        try:
            kind = content_of(path)
        except FileNotFoundError:
            return
        except (OSError, ValueError):
            raise InputError("input-unreadable", "A file cannot be opened") from None
        if kind != "zip":
            image = image_in(path, self._config.limits.image_mib * 2**20)
            if image.sop_class == CT_IMAGE:  # no other is taken, and not every other has pixels
                _check_whole(image)
            self._intake.take(image)
            return
        with unpacked(path) as folder:
            taken = 0
            for member in sorted(folder.rglob("*")):
                if member.is_file():
                    taken += self._take_member(member)
        if not taken:
            raise InputError("input-empty", "An archive contains no image that can be taken")

    def _take_member(self, member: Path) -> bool:
        """Take one file of an archive; another kind of object among the images is left out."""
        try:
            self._intake.take(image_in(member, self._config.limits.image_mib * 2**20))
        except InputError as error:
            self._journal.refuse(error)
            return False
        return True

    def _set_aside(self, path: Path) -> None:
        try:
            about = path.stat()
            self._config.refused.mkdir(exist_ok=True)
            # Another file may have had the same name before.
            aside = self._config.refused / self._names.file(f"{path} {about.st_mtime_ns}")
            shutil.move(path, aside)
            os.utime(aside)  # it is kept from now on
        except OSError as error:
            self._journal.bug("watch", error)

    def _remove_empty(self) -> None:
        """Remove folders that have been empty for a while, deepest first: their images were taken.

        One that is new is left to whoever is about to fill it.
        """
        for name, _, _ in os.walk(self._folder, topdown=False):
            folder = Path(name)
            try:
                lately = time.time() - folder.stat().st_mtime < _SETTLED_S
                if folder != self._folder and not lately and not os.listdir(folder):
                    folder.rmdir()
            except OSError:  # somebody puts something there just now, or has removed it
                continue


def image_in(path: Path, most_bytes: int) -> Image:
    """The image in a file. Raises InputError ``image-refused`` where it is none."""
    if path.stat().st_size > most_bytes:
        raise InputError("image-refused", "A file is too long to be an image")
    content = path.read_bytes()
    if content[_PREAMBLE : _PREAMBLE + 4] != _MAGIC:
        raise InputError("image-refused", "A file is not a DICOM file")
    try:
        dataset = parse(path, ["SOPClassUID", "SOPInstanceUID"], with_pixels=False, name="A file")
        syntax = text(dataset.file_meta, "TransferSyntaxUID")
        split = _end_of_head(content)
    except InputError:
        raise
    except Exception:  # a parser fed by strangers may fail in any way
        raise InputError("image-refused", "The head of a file cannot be parsed") from None
    sop_class, uid = text(dataset, "SOPClassUID"), text(dataset, "SOPInstanceUID")
    return Image(sop_class, uid, syntax, content[:split], content[split:])


def _check_whole(image: Image) -> None:
    """Raise InputError ``dicom-truncated`` where the file of ``image`` ends before its pixels do.

    Not for what the node has confirmed already: that is kept as it is.
    """
    content = image.head + image.content
    try:
        with io.BytesIO(content) as file:
            bounded = BoundedFile(file, len(content))
            dataset = pydicom.dcmread(bounded, specific_tags=["PixelData"])  # type: ignore[arg-type]
        pixels = dataset.get_item("PixelData")
        missing = not isinstance(pixels, RawDataElement)
        if isinstance(pixels, RawDataElement) and pixels.length != _UNDEFINED_LENGTH:
            missing = len(pixels.value or b"") < pixels.length
    except Exception:  # a parser fed by strangers may fail in any way
        missing = True
    if missing:
        raise InputError(
            "dicom-truncated",
            "A file ends before its image does",
            hint="Copy it again from its source",
        )


def _end_of_head(content: bytes) -> int:
    """Where the data set begins: not every file states how long its head is."""
    with io.BytesIO(content) as file:
        file.seek(_PREAMBLE + len(_MAGIC))
        read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
        return file.tell()
