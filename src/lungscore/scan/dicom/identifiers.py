"""What joins a result with an archive: UIDs, date, accession number; written when asked for."""

from pathlib import Path

from lungscore.errors import escaped
from lungscore.scan.dicom.elements import text
from lungscore.scan.dicom.header import parse, quiet_pydicom
from lungscore.scan.scan import Identifiers

_TAGS = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "StudyDate",
    "AccessionNumber",
    "SeriesDescription",
)

#: Letters of a field that are kept; none of them may be longer in DICOM.
_LONGEST = 64


def identifiers_of(path: Path, name: str) -> Identifiers:
    """Those of one image. Raises InputError ``dicom-unreadable``; name: what it calls the file."""
    with quiet_pydicom():
        dataset = parse(path, list(_TAGS), with_pixels=False, name=name)
        values = (escaped(text(dataset, tag))[:_LONGEST] or None for tag in _TAGS)
        return Identifiers(*values)
