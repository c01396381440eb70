"""An archive over DICOMweb: fetch a study, store objects, ask what is there (extra ``dicom``)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pydicom
from pydicom.dataset import Dataset

from lungscore.errors import InputError, LungscoreError, ResourceError
from lungscore.files import atomic_path
from lungscore.report.case_folder import appearing, refuse_folder
from lungscore.scan.dicom.elements import text
from lungscore.scan.limits import MAX_FILES, MAX_UNPACKED_BYTES

#: Seconds to connect, and to wait for the next bytes.
TIMEOUT_S = (10.0, 120.0)
#: Bytes of one object: it is sent in one piece, since not all archives take chunks.
_LONGEST_OBJECT = 2**31 - 1
#: Answers to a search of archives that know no such study, or no search.
_NOT_SEARCHED = (404, 405, 501)


class Login(NamedTuple):
    """How an archive knows us. The files hold a bearer token, or ``user:password``."""

    token_file: Path | None = None
    login_file: Path | None = None
    authorities: Path | None = None


class Identity(NamedTuple):
    """What an object is called."""

    study: str
    series: str
    uid: str
    sop_class: str
    syntax: str


def identity_of(path: Path) -> Identity:
    """The identifiers of the DICOM object in a file. Raises InputError ``dicom-unreadable``."""
    tags = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"]
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(tags))
    except FileNotFoundError:
        raise InputError("input-not-found", f"No such file: {path}") from None
    except Exception as error:  # a parser fed by strangers may fail in any way
        raise InputError(
            "dicom-unreadable", f"{path.name} cannot be parsed ({type(error).__name__})"
        ) from None
    study, series, uid, sop_class = (text(dataset, tag) for tag in tags)
    values = Identity(study, series, uid, sop_class, text(dataset.file_meta, "TransferSyntaxUID"))
    if not all(values):
        raise InputError("dicom-unreadable", f"{path.name} lacks one of its identifiers")
    return values


class Archive:
    """A DICOMweb service at ``url``.

    Every method raises ResourceError ``archive-failed`` where it cannot be reached, refuses, or
    answers something else than DICOMweb.
    """

    def __init__(self, url: str, login: Login | None = None) -> None:
        from dicomweb_client.session_utils import create_session
        from dicomweb_client.web import DICOMwebClient

        login = login or Login()
        session = create_session()
        if login.authorities is not None:
            session.verify = str(login.authorities)
        if login.login_file is not None:
            user, _, password = _secret(login.login_file).partition(":")
            session.auth = (user, password)
        if login.token_file is not None:
            session.headers["Authorization"] = f"Bearer {_secret(login.token_file)}"
        try:
            self._client = DICOMwebClient(url.rstrip("/"), session=session, timeout=TIMEOUT_S)
        except (ValueError, AttributeError):
            raise InputError(
                "archive-failed",
                "The URL of the archive is none",
                expected="https://host/dicom-web",
            ) from None
        # When to try again is for the caller to say, and storing must not be repeated unseen.
        self._client.set_http_retry_params(retry=False)

    def has(self, identity: Identity) -> bool:
        """Whether an object is there; False where the archive does not answer such questions."""
        with _failures():
            try:
                return bool(
                    self._client.search_for_instances(
                        identity.study,
                        identity.series,
                        search_filters={"SOPInstanceUID": identity.uid},
                    )
                )
            except Exception as error:
                if _status_of(error) in _NOT_SEARCHED:
                    return False
                raise

    def store(self, path: Path) -> None:
        """Store the object in a file; returns when the archive has confirmed it."""
        identity = identity_of(path)
        with _failures():
            dataset = pydicom.dcmread(path)
            self._client.set_chunk_size(_LONGEST_OBJECT)
            answer = self._client.store_instances([dataset], identity.study)
        if any(_refers(item, identity.uid) for item in answer.get("FailedSOPSequence") or ()):
            raise ResourceError("archive-failed", "The archive refused the object")
        confirmed = answer.get("ReferencedSOPSequence") or ()
        if not any(_refers(item, identity.uid) for item in confirmed) and not self.has(identity):
            raise ResourceError("archive-failed", "The archive did not confirm the object")

    def series(self, study: str) -> list[str]:
        """The CT series of a study. Raises InputError ``study-not-found``."""
        with _failures():
            entries = self._client.search_for_series(study, fields=["Modality"])
            headers = [Dataset.from_json(entry) for entry in entries]
        uids = [text(h, "SeriesInstanceUID") for h in headers if text(h, "Modality") == "CT"]
        if not uids:
            raise InputError(
                "study-not-found", f"The archive has {len(headers)} series of the study, none of CT"
            )
        return sorted(uids)

    def images(self, study: str, series: str) -> Iterator[Dataset]:
        """The objects of a series, in their own transfer syntax, one after the other."""
        self._client.set_chunk_size(2**20)
        answer = None
        while True:  # the guard must not take a failure of the caller's for the archive's
            with _failures():
                answer = answer or self._client.iter_series(
                    study, series, media_types=(("application/dicom", "*"),)
                )
                image = next(answer, None)
            if image is None:
                return
            yield image


def pull(archive: Archive, study: str, folder: Path, *, series: str | None = None) -> int:
    """Fetch the CT series of a study, or one series, into a new folder; how many images.

    The folder appears when all are there; a file's name is its place in the answer. Raises
    UsageError ``output-exists`` and InputError ``study-not-found``, and as ``Archive`` does.
    """
    refuse_folder(folder, known=())
    wanted = [series] if series is not None else archive.series(study)
    count = size = 0
    with appearing(folder) as staging:
        for uid in wanted:
            for dataset in archive.images(study, uid):
                count += 1
                if count > MAX_FILES or size > MAX_UNPACKED_BYTES:
                    raise InputError(
                        "too-many-files", "The archive sends more than one examination has"
                    )
                with atomic_path(staging / f"{count:05d}.dcm") as path:
                    dataset.save_as(path, enforce_file_format=True)
                    size += path.stat().st_size
        if not count:
            raise InputError("study-not-found", "The archive has no image of the series")
    return count


def push(archive: Archive, paths: Sequence[Path]) -> int:
    """Store the DICOM objects among ``paths`` (files, or folders of them); how many were stored.

    Segmentations go before what refers to them. Raises InputError ``input-empty`` and as
    ``Archive`` does; what was stored before stays.
    """
    files = [file for path in paths for file in _objects_in(path)]
    if not files:
        raise InputError("input-empty", "The folders contain no DICOM objects", expected="*.dcm")
    for file in files:
        archive.store(file)
    return len(files)


def _objects_in(path: Path) -> list[Path]:
    if path.is_dir():
        return in_order(path.rglob("*.dcm"))
    if not path.exists():
        raise InputError("input-not-found", f"No such file or folder: {path}")
    return [path]


def in_order(files: "Iterator[Path] | Sequence[Path]") -> list[Path]:
    """Files of objects in the order to send them: a report goes after what it refers to."""
    last = ("measurements", "report", "picture")
    return sorted(files, key=lambda file: (file.name.startswith(last), file))


def _refers(item: Dataset, uid: str) -> bool:
    return text(item, "ReferencedSOPInstanceUID") == uid


def _secret(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("input-unreadable", f"{path} cannot be read as text") from error


def _status_of(error: Exception) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


@contextmanager
def _failures() -> Iterator[None]:
    """Whatever goes wrong between us and an archive is ``archive-failed``, without its words."""
    try:
        yield
    except LungscoreError:
        raise
    except Exception as error:
        status = _status_of(error)
        failure = f"it answered {status}" if status else type(error).__name__
        hint = "Check its address and the login" if status in (None, 401, 403, 404) else ""
        raise ResourceError(
            "archive-failed", f"The archive does not do as asked ({failure})", hint=hint
        ) from error
