"""What all DICOM objects of one result share: their UIDs, series, device and dates."""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID

from lungscore.pacs.codes import SCHEMES, Code
from lungscore.pacs.source import UTF_8
from lungscore.pacs.uids import uid_of
from lungscore.result.schema import engine_text
from lungscore.scan.dicom.header import quiet_pydicom
from lungscore.version import __version__

MANUFACTURER = "lungscore"
MODEL = "lungscore"

#: Number of each object's series, far from those of a scanner. Each kind is a series of its own.
SERIES_NUMBERS = {
    "lungs": 9001,
    "lobes": 9002,
    "lesions": 9003,
    "regions": 9004,
    "both-lungs": 9005,
    "measurements": 9010,
    "report": 9011,
    "pictures": 9012,
}


@dataclass(frozen=True)
class Stamp:
    """Identity and time of the objects of one result.

    identity: what all UIDs follow from: equal for equal results of one version of lungscore.
    moment: the time that the objects state; nothing else differs between two runs.
    """

    identity: str
    moment: datetime

    def uid(self, *names: object) -> UID:
        """The UID of what is called ``names`` in this result."""
        return uid_of(self.identity, *names)

    @property
    def date(self) -> str:
        """Day, as DICOM has it."""
        return self.moment.strftime("%Y%m%d")

    @property
    def time(self) -> str:
        """Time of day, to the second."""
        return self.moment.strftime("%H%M%S")


def stamp_of(result: bytes, moment: datetime, *options: str) -> Stamp:
    """The stamp of a result.json. options: what else the objects depend on."""
    text = b"\0".join((__version__.encode(), *(option.encode() for option in options), result))
    return Stamp(hashlib.sha256(text).hexdigest(), moment)


def series_of(kind: str, stamp: Stamp, description: str, number: int = 1) -> dict[str, Any]:
    """Arguments of highdicom's classes: the series of an object and the instance in it."""
    return {
        "series_instance_uid": stamp.uid(kind, "series"),
        "series_number": SERIES_NUMBERS[kind],
        "sop_instance_uid": stamp.uid(kind, "instance", number),
        "instance_number": number,
        "series_description": description,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": MODEL,
        "software_versions": __version__,
        "device_serial_number": __version__,
        "content_date": stamp.date,
        "content_time": stamp.time,
        "series_date": stamp.date,
        "series_time": stamp.time,
        "specific_character_set": UTF_8,
    }


def finish(instance: Dataset, stamp: Stamp) -> Dataset:
    """``instance`` with what every object of ours states; nothing in it follows the clock."""
    for keyword in ("InstanceCreationDate", "DateOfSecondaryCapture"):
        if keyword in instance:
            setattr(instance, keyword, stamp.date)
    for keyword in ("InstanceCreationTime", "TimeOfSecondaryCapture"):
        if keyword in instance:
            setattr(instance, keyword, stamp.time)
    instance.SeriesDate, instance.SeriesTime = stamp.date, stamp.time
    for item in instance.get("ContributingEquipmentSequence", ()):
        if "ContributionDateTime" in item:
            item.ContributionDateTime = f"{stamp.date}{stamp.time}"
    instance.ContentQualification = "RESEARCH"
    instance.CodingSchemeIdentificationSequence = [
        _scheme(designator, entry)
        for designator, entry in SCHEMES.items()
        if designator in _designators(instance)
    ]
    return instance


def concept(code: Code) -> Any:
    """A code as highdicom takes it."""
    from highdicom.sr import CodedConcept

    return CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning)


#: How the method of a reviewed result begins.
_REVIEWED = "reviewed by "


def reviewer_of(result: Mapping[str, Any]) -> str | None:
    """Who reviewed the masks of a result; None where nobody did."""
    method = result.get("method")
    if not isinstance(method, str) or not method.startswith(_REVIEWED):
        return None
    return method.removeprefix(_REVIEWED) or None


def person_name(name: str) -> str:
    """A reader's name as DICOM has it: all of it as family name, without what separates parts."""
    plain = "".join(" " if letter in "^=\\" else letter for letter in name)
    return f"{' '.join(plain.split())[:60]}^"


def algorithm_text(result: Mapping[str, Any]) -> str:
    """Networks and engine of a result, on one line."""
    models = [f"{m['name']} {m['version']} ({m['sha256'][:12]})" for m in result["models"]]
    engine = result["engine"]
    if engine:
        models.append(engine_text(engine))
    return ", ".join(models) or "masks that were given"


def _designators(dataset: Dataset) -> set[str]:
    """The coding schemes of all codes in ``dataset``, at any depth."""
    designators = set()
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                designators |= _designators(item)
        elif element.keyword == "CodingSchemeDesignator":
            designators.add(str(element.value))
    return designators


def _scheme(designator: str, entry: Mapping[str, str]) -> Dataset:
    item = Dataset()
    item.CodingSchemeDesignator = designator
    if "registry" in entry:
        item.CodingSchemeRegistry = entry["registry"]
        item.CodingSchemeUID = entry["uid"]
    item.CodingSchemeName = entry["name"]
    if "organisation" in entry:
        item.CodingSchemeResponsibleOrganization = entry["organisation"]
        item.CodingSchemeVersion = "1"
    return item


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep pydicom and highdicom from quoting values, names among them, in warnings and logs."""
    loggers = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with quiet_pydicom():
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
