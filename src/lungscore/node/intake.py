"""One image is taken or refused, whether it came over the network or lay in a folder."""

import io
import re
import shutil
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pydicom

from lungscore.errors import InputError, ResourceError
from lungscore.files import atomic_write, sync_folder
from lungscore.node.config import NodeConfig
from lungscore.node.journal import Journal
from lungscore.node.names import Names
from lungscore.node.state import State
from lungscore.scan.bounded_file import BoundedFile
from lungscore.scan.dicom.elements import text
from lungscore.scan.dicom.header import CT_IMAGE, DEFLATED

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_LONGEST_UID = 64
_TAGS = ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"]


class Image(NamedTuple):
    """An image as it came. content: the data set alone, in its own transfer syntax."""

    sop_class: str
    uid: str
    syntax: str
    head: bytes
    content: bytes


class Intake:
    """Takes images: on disk and in the state before anybody is told so."""

    def __init__(self, config: NodeConfig, names: Names, state: State, journal: Journal) -> None:
        self._config, self._names, self._state = config, names, state
        self._journal = journal
        self._locks = [threading.Lock() for _ in range(64)]

    def take(self, image: Image) -> str:
        """Take an image and return the name of its study.

        Raises InputError ``image-refused``, ``image-differs`` and ResourceError ``node-full``,
        ``disk-full`` or ``output-not-writable``.
        """
        if image.sop_class != CT_IMAGE:
            raise InputError("image-refused", "The object is not a CT image")
        if image.syntax.encode() == DEFLATED:
            raise InputError(
                "image-refused", "The image is deflated", hint="Send it in another transfer syntax"
            )
        study = self._names.study(self._study_uid(image))
        name = self._names.image(image.uid)
        # Two senders of one image must not write one file, so each image has a lock.
        with self._locks[int(name, 16) % len(self._locks)]:
            self._take(image, study, name)
        return study

    def _take(self, image: Image, study: str, name: str) -> None:
        content = self._names.content(image.content)
        arrival = self._state.arrival(study, name, image.syntax, content)
        if arrival == "differs":
            raise InputError(
                "image-differs",
                f"An image of the study {study} came again with another content",
                hint="The first one is kept",
            )
        path = self.folder(study) / f"{name}.dcm"
        if arrival == "repeated":
            if not path.is_file():  # it was lost from the disk
                _write(path, image)
            self._journal.count("images", "repeated")
            return
        self._check_room(study)
        _write(path, image)
        before = self._state.receive(study, name, image.syntax, content, time.time())
        if not path.is_file():  # the study was purged between the two
            _write(path, image)
        self._journal.count("images", "taken")
        if before is None:
            self._journal.say("receiving", study=study)
        elif before != "received":
            self._journal.say("study-changed", code="study-changed", study=study, was=before)

    def folder(self, study: str) -> Path:
        """The folder of a study's images."""
        return self._config.incoming / study

    def _study_uid(self, image: Image) -> str:
        """The UID of the study; all that names an image must be there and be a UID."""
        try:
            with io.BytesIO(image.head + image.content) as file:
                size = len(image.head) + len(image.content)
                bounded = BoundedFile(file, size)
                dataset = pydicom.dcmread(
                    bounded,  # type: ignore[arg-type]
                    stop_before_pixels=True,
                    specific_tags=list(_TAGS),
                )
                sop_class, *uids = (text(dataset, tag) for tag in _TAGS)
        except Exception as error:  # a parser fed by strangers may fail in any way
            raise InputError(
                "image-refused", f"The data set cannot be parsed ({type(error).__name__})"
            ) from None
        if not all(_UID.fullmatch(uid) and len(uid) <= _LONGEST_UID for uid in uids):
            raise InputError(
                "image-refused",
                "An identifier of the image, its series or its study is missing or is not a UID",
                expected="digits and full stops",
            )
        if (sop_class, uids[0]) != (image.sop_class, image.uid):
            raise InputError("image-refused", "The data set is another one than was announced")
        return uids[2]

    def _check_room(self, study: str) -> None:
        limits = self._config.limits
        if shutil.disk_usage(self._config.folder).free < limits.free_gib * 2**30:
            raise ResourceError("node-full", f"Less than {limits.free_gib:g} GiB of disk are free")
        images = self._state.images(study)
        if images is None and self._state.waiting() >= limits.waiting_studies:
            raise ResourceError("node-full", f"{limits.waiting_studies} studies are waiting")
        if images is not None and images >= limits.images:
            raise ResourceError("node-full", f"The study {study} has {images} images already")


def _write(path: Path, image: Image) -> None:
    """Write an image so that it is there after a loss of power, too."""
    new = not path.parent.is_dir()
    atomic_write(path, image.head + image.content)
    sync_folder(path.parent)
    if new:
        sync_folder(path.parent.parent)
