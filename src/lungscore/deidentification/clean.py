"""One image without its patient: a new data set, into which only what may stay is taken."""

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, UID_dictionary
from pydicom.valuerep import format_number_as_ds

from lungscore.deidentification.identity import Key
from lungscore.deidentification.pixels import Pixels
from lungscore.deidentification.rules import (
    AGE,
    BUILD,
    CAPTURES,
    CODES,
    DATES,
    DEVICE,
    DOCUMENTS,
    EMPTY,
    IMAGES,
    KERNEL,
    KINDS,
    NUMBERS,
    NUMERIC_VRS,
    PIXELS,
    SAFE_PRIVATE,
    SEQUENCES,
    SEX,
    TIMES,
    UIDS,
    Options,
)
from lungscore.errors import InputError
from lungscore.scan.dicom.elements import text
from lungscore.version import __version__

Action = Literal["kept", "replaced", "emptied", "removed"]
#: Levels of sequences; deeper ones go.
_DEEPEST = 8
_TIME = re.compile(r"\d{2,6}(\.\d{1,6})?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_CAPTURED = re.compile(r"SCREEN ?SAVE|SCREENSHOT|CAPTURE|SCANNED|DOSE|PROTOCOL")


@dataclass
class Record:
    """What was done, without what was there: (tag, name, action) -> how often."""

    actions: Counter[tuple[str, str, Action]] = field(default_factory=Counter)

    def note(self, element: DataElement, action: Action) -> None:
        tag = element.tag
        name = "private" if tag.is_private else keyword_for_tag(tag) or "unknown"
        repeats = 0x5000 <= tag.group < 0x6100  # curves and overlays
        group = tag.group & 0xFF00 if repeats else tag.group
        self.actions[f"({group:04X},{tag.element:04X})", name, action] += 1


def refuse_identifying(dataset: Dataset, options: Options, name: str) -> None:
    """Raise InputError ``pixels-identifying`` or ``wrong-modality`` for what is not taken."""
    sop_class = text(dataset, "SOPClassUID")
    if sop_class.startswith(DOCUMENTS):
        raise InputError(
            "pixels-identifying",
            f"{name} is a report or a document",
            expected="images",
            hint="Documents are not de-identified",
        )
    shown = " ".join(str(value).upper() for value in dataset.get("ImageType") or ())
    captured = sop_class in CAPTURES or "ConversionType" in dataset or _CAPTURED.search(shown)
    if captured and not options.allow_captures:
        raise InputError(
            "pixels-identifying",
            f"{name} is a captured picture, in which names may be seen",
            hint="Leave it out, or look at it and use --allow-captures",
        )
    if text(dataset, "BurnedInAnnotation").upper() == "YES" and not options.allow_burned_in:
        raise InputError(
            "pixels-identifying",
            f"{name} says that annotation is burned into its pixels",
            hint="Leave it out, or look at it and use --allow-burned-in",
        )
    if sop_class not in IMAGES and sop_class not in CAPTURES:
        raise InputError("wrong-modality", f"{name} is not a CT, MR, PET or plain X-ray image")


def clean(dataset: Dataset, pixels: Pixels, key: Key, options: Options, record: Record) -> Dataset:
    """The image of ``dataset`` with ``pixels``, ready to be saved; ``record`` gets what was done.

    Nothing of ``dataset`` itself is in it: neither its file meta, nor its preamble, nor anything
    that stands behind its elements.
    """
    patient = _patient_of(dataset)
    cleaning = _Cleaning(key, options, patient, record)
    result = cleaning.dataset(dataset, 0)
    record.note(dataset[pixels.keyword], "kept")
    pixels.put_into(result)
    for keyword in EMPTY:
        if keyword not in result:
            setattr(result, keyword, "")
    result.PatientName = result.PatientID = key.patient(patient)
    result.PatientIdentityRemoved = "YES"
    result.DeidentificationMethod = f"lungscore {__version__}"
    result.DeidentificationMethodCodeSequence = Sequence(map(_code, options.codes()))
    kept = options.retain_dates
    result.LongitudinalTemporalInformationModified = "MODIFIED" if kept else "REMOVED"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = result.SOPClassUID
    meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    meta.TransferSyntaxUID = UID(pixels.syntax)
    result.file_meta = meta
    result.preamble = bytes(128)
    return result


def _patient_of(dataset: Dataset) -> str:
    """What tells this patient from others: without an ID each study is a patient of its own."""
    return text(dataset, "PatientID") or f"study {text(dataset, 'StudyInstanceUID')}"


def _code(entry: tuple[str, str]) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = entry[0], "DCM", entry[1]
    return item


class _Cleaning:
    def __init__(self, key: Key, options: Options, patient: str, record: Record) -> None:
        self._key, self._options, self._patient = key, options, patient
        self._record = record

    def dataset(self, source: Dataset, level: int) -> Dataset:
        """The elements of ``source`` that may stay."""
        result = Dataset()
        for tag in sorted(source.keys()):
            try:
                element = source[tag]
            except Exception:  # what cannot be read does not stay
                self._record.note(DataElement(tag, "UN", b""), "removed")
                continue
            self._take(element, source, result, level)
        return result

    def _take(self, element: DataElement, source: Dataset, result: Dataset, level: int) -> None:
        keyword = keyword_for_tag(element.tag)
        if element.tag.is_private:
            if not element.tag.is_private_creator:
                self._take_private(element, source, result)
            return
        if keyword in PIXELS:
            return
        try:
            value, action = self._value(keyword, element, level)
        except Exception:  # conversion of values by strangers may fail in any way
            value, action = None, "removed"
        if action == "removed" and keyword in EMPTY and level == 0:
            action = "emptied"
        self._record.note(element, action)
        if action in ("kept", "replaced"):
            setattr(result, keyword, value)

    def _value(self, keyword: str, element: DataElement, level: int) -> tuple[Any, Action]:
        options = self._options
        value = element.value
        if keyword in SEQUENCES and level < _DEEPEST and element.VR == "SQ":
            return Sequence(self.dataset(item, level + 1) for item in value), "kept"
        if keyword in KINDS and str(value) in UID_dictionary:
            return str(value), "kept"
        if keyword in UIDS and value:
            return self._key.uid(str(value)), "replaced"
        if keyword in NUMBERS and (kept := _numbers(keyword, value)) is not None:
            return kept, "kept"
        if keyword in CODES:
            kept = [word for word in _words(value) if word in CODES[keyword]]
            return (kept if len(kept) > 1 else kept[0], "kept") if kept else (None, "removed")
        if level > 0:  # what follows is said of the image once
            return None, "removed"
        if keyword in ("PatientID", "PatientName"):
            return self._key.patient(self._patient), "replaced"
        if keyword in DATES and options.retain_dates:
            moved = self._key.moved(str(value), self._patient)
            return (moved, "replaced") if moved else (None, "removed")
        if keyword in TIMES and options.retain_dates and _TIME.fullmatch(str(value)):
            return str(value), "kept"
        if keyword in DEVICE and options.retain_device:
            return value, "kept"
        if keyword == "ConvolutionKernel":
            kept = [word for word in _words(value) if KERNEL.fullmatch(word)]
            return (kept if len(kept) > 1 else kept[0], "kept") if kept else (None, "removed")
        if options.retain_characteristics:
            return _characteristic(keyword, value)
        return None, "removed"

    def _take_private(self, element: DataElement, source: Dataset, result: Dataset) -> None:
        """A private number that is known to be safe stays, with its creator."""
        tag = element.tag
        creator = str(source.get((tag.group, tag.element >> 8), DataElement(0, "LO", "")).value)
        group, elements = SAFE_PRIVATE.get(creator, (0, frozenset()))
        number = None
        if group == tag.group and tag.element & 0xFF in elements and element.VR in NUMERIC_VRS:
            number = _plain_numbers(element.value, element.VR)
        self._record.note(element, "removed" if number is None else "kept")
        if number is not None:
            block = result.private_block(group, creator, create=True)
            block.add_new(tag.element & 0xFF, element.VR, number)


def _words(value: Any) -> list[str]:
    values = [value] if isinstance(value, str) else list(value or ())
    return [str(word).strip() for word in values]


def _numbers(keyword: str, value: Any) -> Any:
    """``value`` if it consists of finite numbers, as the dictionary's VR has them."""
    representation = dictionary_VR(keyword)
    if representation == "AT":
        tags = [value] if isinstance(value, int) else list(value)
        return [int(tag) for tag in tags if dictionary_has_tag(int(tag))] or None
    return _plain_numbers(value, representation)


def _plain_numbers(value: Any, representation: str) -> Any:
    """``value`` if it consists of finite numbers; DS and IS as their own text, which is none
    but that of a number."""
    if value is None or isinstance(value, str | bytes):
        return None
    several = hasattr(value, "__iter__")
    numbers = list(value) if several else [value]
    if not numbers or not all(math.isfinite(float(n)) for n in numbers):
        return None
    if representation in ("DS", "IS"):
        numbers = [_decimal(n, representation) for n in numbers]
    return numbers if several else numbers[0]


def _decimal(number: Any, representation: str) -> str:
    own = str(number).strip()
    if _NUMBER.fullmatch(own) and len(own) <= 16:
        return own
    return str(int(number)) if representation == "IS" else format_number_as_ds(float(number))


def _characteristic(keyword: str, value: Any) -> tuple[Any, Action]:
    if keyword == SEX and str(value) in ("M", "F", "O"):
        return str(value), "kept"
    if keyword == AGE and re.fullmatch(r"\d{3}[DWMY]", str(value)):
        old = str(value)[3] == "Y" and int(str(value)[:3]) > 90
        return ("090Y", "replaced") if old else (str(value), "kept")
    if keyword in BUILD and (number := _plain_numbers(value, "DS")) is not None:
        return number, "kept"
    return None, "removed"
