"""Where results go: each kind of destination sends one object, and returns when it is there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from pydicom.dataset import Dataset
from pynetdicom import AE

from lungscore.errors import ResourceError
from lungscore.files import atomic_path
from lungscore.node.config import (
    Destination,
    DicomDestination,
    FolderDestination,
    WebDestination,
)
from lungscore.node.tls import client_tls
from lungscore.pacs.dicomweb import Archive, Identity, Login, identity_of
from lungscore.scan.dicom.elements import text

#: Study Root Query/Retrieve Information Model – FIND.
FIND = "1.2.840.10008.5.1.4.1.2.2.1"

#: Seconds that a destination may be silent.
PATIENCE_S = 120.0
#: Success, and warnings that the object was stored with changes (PS3.4, B.2.3).
_STORED = {0x0000, 0xB000, 0xB006, 0xB007}
#: That it was there already.
_DUPLICATE = 0x0111


class Refused(ResourceError):
    """The destination said that it has not stored an object."""


class Open(Protocol):
    """A destination that is connected."""

    def has(self, path: Path) -> bool:
        """Whether the object of a file is there; False where nobody can say."""

    def send(self, path: Path) -> None:
        """Send the object of a file; returns when it is confirmed.

        Raises Refused where it is not stored, and ResourceError ``archive-failed`` where nobody
        knows whether it is.
        """


@contextmanager
def connected(destination: Destination, study: str, paths: list[Path]) -> Iterator[Open]:
    """Connect to a destination, for the objects of a study."""
    if isinstance(destination, FolderDestination):
        yield _Folder(destination.path / study)
    elif isinstance(destination, WebDestination):
        login = Login(destination.token_file, destination.login_file, destination.authorities)
        yield _Web(Archive(destination.url, login))
    else:
        with _associated(destination, paths) as association:
            yield _Dicom(association)


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, path: Path) -> bool:
        return (self._folder / path.name).is_file()

    def send(self, path: Path) -> None:
        with atomic_path(self._folder / path.name) as temporary:
            shutil.copyfile(path, temporary)


class _Web:
    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def has(self, path: Path) -> bool:
        return self._archive.has(identity_of(path))

    def send(self, path: Path) -> None:
        self._archive.store(path)


class _Dicom:
    def __init__(self, association: Any) -> None:
        self._association = association

    def has(self, path: Path) -> bool:
        identity = identity_of(path)
        if not any(c.abstract_syntax == FIND for c in self._association.accepted_contexts):
            return False
        try:
            answers = list(self._association.send_c_find(_query(identity), FIND))
        except (ValueError, RuntimeError) as error:
            raise _silent() from error
        if not all("Status" in status for status, _ in answers):
            raise _silent()
        return any(
            answer is not None and text(answer, "SOPInstanceUID") == identity.uid
            for _, answer in answers
        )

    def send(self, path: Path) -> None:
        try:
            answer = self._association.send_c_store(path)
        except (ValueError, RuntimeError, AttributeError) as error:
            # No presentation context for it, or the association is gone: nothing was sent.
            raise Refused(
                "archive-failed", f"The destination takes no such object ({type(error).__name__})"
            ) from error
        status = answer.get("Status")
        if status is None:
            raise _silent()
        if status not in _STORED and status != _DUPLICATE:
            raise Refused("archive-failed", f"The destination answered {status:04X}")


@contextmanager
def _associated(destination: DicomDestination, paths: list[Path]) -> Iterator[Any]:
    """An association for the objects in ``paths``."""
    entity = AE(ae_title=destination.calling or "LUNGSCORE")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = PATIENCE_S
    entity.connection_timeout = 20
    identities = [identity_of(path) for path in paths]
    # In the syntax that they are stored in, so that they arrive as they are.
    for sop_class, syntax in sorted({(known.sop_class, known.syntax) for known in identities}):
        entity.add_requested_context(sop_class, syntax)
    entity.add_requested_context(FIND)
    tls = None
    try:
        if destination.tls is not None:
            tls = (client_tls(destination.tls), destination.address)
        association = entity.associate(
            destination.address, destination.port, ae_title=destination.ae_title, tls_args=tls
        )
    except OSError as error:  # its name is unknown, or our certificate cannot be read
        raise ResourceError(
            "archive-failed", f"The destination cannot be reached ({type(error).__name__})"
        ) from error
    if not association.is_established:
        how = "refused the association" if association.is_rejected else "cannot be reached"
        raise ResourceError("archive-failed", f"The destination {how}")
    try:
        yield association
    except BaseException:
        association.abort()
        raise
    association.release()


def _silent() -> ResourceError:
    return ResourceError("archive-failed", "The destination did not answer")


def _query(identity: Identity) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.StudyInstanceUID, query.SeriesInstanceUID = identity.study, identity.series
    query.SOPInstanceUID = identity.uid
    return query
