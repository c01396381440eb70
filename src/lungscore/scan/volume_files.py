"""Files that hold one whole volume and its place in the patient: one table for scans and masks."""

from contextlib import AbstractContextManager
from pathlib import Path

from lungscore.scan.recognise import content_of
from lungscore.scan.volume import Stored, Volume, VolumeFormat
from lungscore.scan.voxels import gather_volume

#: The formats, for messages.
FORMATS = "NIfTI, NRRD or MetaImage"


def volume_format(path: Path) -> VolumeFormat | None:
    """The format of a file, told by its content; None where it is none of them. Raises OSError."""
    content = content_of(path)
    if content == "nifti" or content == "nrrd" or content == "metaimage":
        return content
    return None


def open_volume(
    path: Path, content: VolumeFormat, name: str | None = None
) -> AbstractContextManager[Stored]:
    """The volume of the file at ``path``, its header checked before memory is taken.

    content: the file's format, as ``volume_format`` tells it. name: what messages call the file; by
    default its own name. Raises InputError as the
    format's own module does: see ``nifti.open_nifti``.
    """
    if content == "nifti":
        from lungscore.scan.nifti import open_nifti

        return open_nifti(path, name)
    if content == "nrrd":
        from lungscore.scan.nrrd import open_nrrd

        return open_nrrd(path, name)
    from lungscore.scan.metaimage import open_metaimage

    return open_metaimage(path, name)


def read_volume(path: Path, content: VolumeFormat, *, name: str | None = None) -> Volume:
    """The volume of the file at ``path``, in its own axis order.

    Raises InputError as ``open_volume`` does, and ``not-finite``, ``constant-image`` or
    ``not-hounsfield``.
    """
    with open_volume(path, content, name) as stored:
        return gather_volume(stored, content, source=name or path.name)
