"""One image without its patient: a new data set, into which only what may stay is taken."""

import math
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID, UID_dictionary
from pydicom.valuerep import format_number_as_ds

from lungscore.deidentification.identity import Key
from lungscore.deidentification.pixels import Pixels, in_range_of_pixels, is_signed
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
    SHOWN,
    TIMES,
    UIDS,
    Options,
)
from lungscore.errors import InputError
from lungscore.scan.dicom.elements import integer, text, texts
from lungscore.version import __version__

Action = Literal["kept", "replaced", "emptied", "removed"]
#: Levels of sequences; deeper ones go.
_DEEPEST = 8
_TIME = re.compile(r"\d{2,6}(\.\d{1,6})?")
#: A number as it is written; a comma is not allowed in one, so it can only be a decimal sign.
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
#: Letters of a number that are read at most; the longest of DICOM has 20.
_LONGEST = 64
#: The numbers that a representation can hold.
_RANGES = {
    "US": (0, 2**16 - 1),
    "UL": (0, 2**32 - 1),
    "UV": (0, 2**64 - 1),
    "SS": (-(2**15), 2**15 - 1),
    "SL": (-(2**31), 2**31 - 1),
    "IS": (-(2**31), 2**31 - 1),
    "SV": (-(2**63), 2**63 - 1),
}
_LARGEST_FLOAT = 3.4028234e38
#: Words of an ImageType under which pictures of screens, of protocols and of doses are stored.
_CAPTURED = re.compile(
    r"SCREEN[ _-]?(SAVE|SHOT)|CAPTURE|SCANNED|DOSE|PROTOCOL|(?<![A-Z])PROT(?![A-Z])"
)


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
    shown = " ".join(texts(dataset, "ImageType"))
    captured = sop_class in CAPTURES or "ConversionType" in dataset or _CAPTURED.search(shown)
    if (captured or _is_coloured(dataset)) and not options.allow_captures:
        kind = "captured" if captured else "coloured"
        raise InputError(
            "pixels-identifying",
            f"{name} is a {kind} picture, in which names may be seen",
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


def _is_coloured(dataset: Dataset) -> bool:
    """Whether the pixels are colours: no scanner makes them, but programs that draw do."""
    colours = text(dataset, "PhotometricInterpretation").upper()
    grey = not colours or colours.startswith("MONOCHROME")
    return integer(dataset, "SamplesPerPixel", 1) > 1 or not grey


def clean(dataset: Dataset, pixels: Pixels, key: Key, options: Options, record: Record) -> Dataset:
    """The image of ``dataset`` with ``pixels``, ready to be saved; ``record`` gets what was done.

    Nothing of ``dataset`` itself is in it: neither its file meta, nor its preamble, nor anything
    that stands behind its elements.
    """
    patient = _patient_of(dataset)
    cleaning = _Cleaning(key, options, patient, record, signed=is_signed(dataset))
    result = cleaning.dataset(dataset, 0)
    record.note(dataset[pixels.keyword], "kept")
    pixels.put_into(result)
    for keyword in EMPTY:
        if keyword not in result:
            setattr(result, keyword, "")
    result.PatientName = result.PatientID = key.patient(patient)
    if options.retain_device:  # text of any script
        result.SpecificCharacterSet = "ISO_IR 192"
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
    def __init__(
        self, key: Key, options: Options, patient: str, record: Record, *, signed: bool
    ) -> None:
        self._key, self._options, self._patient = key, options, patient
        self._record, self._signed = record, signed

    def dataset(self, source: Dataset, level: int) -> Dataset:
        """The elements of ``source`` that may stay."""
        result = Dataset()
        for tag in sorted(source.keys()):
            self._take(_element(source, tag), source, result, level)
        return result

    def _take(self, element: DataElement, source: Dataset, result: Dataset, level: int) -> None:
        keyword = keyword_for_tag(element.tag)
        if element.tag.is_private:
            if not element.tag.is_private_creator:
                self._take_private(element, source, result)
            return
        if keyword in PIXELS:
            return
        action: Action
        try:
            value, action = self._value(keyword, element, level)
            if action in ("kept", "replaced"):
                setattr(result, keyword, value)
        except Exception:  # conversion of values by strangers may fail in any way
            action = "removed"
        if action == "removed" and keyword in EMPTY and level == 0:
            action = "emptied"
        self._record.note(element, action)

    def _value(self, keyword: str, element: DataElement, level: int) -> tuple[Any, Action]:
        options = self._options
        value = element.value
        if keyword in SEQUENCES and level < _DEEPEST and element.VR == "SQ":
            return Sequence(self.dataset(item, level + 1) for item in value), "kept"
        if keyword in KINDS and str(value) in UID_dictionary:
            return str(value), "kept"
        if keyword in UIDS and value:
            return self._key.uid(str(value)), "replaced"
        if keyword in NUMBERS:
            kept = _numbers(keyword, value, signed=self._signed)
            return kept, "removed" if kept is None else "kept"
        if keyword == "ImageType":
            kept = _image_type(value)
            return kept, "kept" if kept else "removed"
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


def _image_type(value: Any) -> list[str]:
    """The known words of an ImageType, in their places: the first two say where an image comes
    from, those after them what it shows. Of other texts words such as MIP stay."""
    words = [word.upper() for word in _words(value)]
    result: list[str] = []
    for place, word in enumerate(words if any(words) else []):
        kept = [word] if word in CODES["ImageType"] else _shown(word)
        if place < 2:
            kept = kept[:1] or ["OTHER"]
        result += kept
    return result


def _shown(word: str) -> list[str]:
    """What ``word`` says of slices shown in one, in words that are known."""
    joined = re.sub(r"[^A-Z0-9]", "", word)
    parts = dict.fromkeys([joined, *re.split(r"[^A-Z0-9]+", word)])
    return [part for part in parts if part in SHOWN]


def _element(source: Dataset, tag: BaseTag) -> DataElement:
    """An element; a number that is none in DICOM (0,7) is the text that stands there.

    What cannot be read at all is empty.
    """
    content = ""
    try:
        return source[tag]
    except Exception:  # conversion of values by strangers may fail in any way
        with suppress(Exception):
            raw = source.get_item(tag)
            if (raw.VR or dictionary_VR(tag)) in ("DS", "IS"):
                content = raw.value.decode("latin-1")
    return DataElement(tag, "UT", content)


def _numbers(keyword: str, value: Any, *, signed: bool) -> Any:
    """``value`` if it consists of numbers, as the dictionary's VR has them; None otherwise.

    signed: whether the pixels are, for pixel values.
    """
    representation = dictionary_VR(keyword)
    if representation == "AT":
        tags = [value] if isinstance(value, int) else list(value)
        return [int(tag) for tag in tags if dictionary_has_tag(int(tag))] or None
    return _plain_numbers(value, representation, signed=signed)


def _plain_numbers(value: Any, representation: str, *, signed: bool = False) -> Any:
    """``value`` if it consists of finite numbers that ``representation`` can hold; None otherwise.

    Numbers that stand in a text are read as such. DS are their own text where it fits, which is
    none but that of a number.
    """
    if value is None or isinstance(value, bytes):
        return None
    items = value.split("\\") if isinstance(value, str) else value
    items = items if hasattr(items, "__iter__") else [items]
    numbers = [_plain_number(item, representation, signed=signed) for item in items]
    if not numbers or None in numbers:
        return None
    return numbers if len(numbers) > 1 else numbers[0]


def _plain_number(item: Any, representation: str, *, signed: bool) -> str | int | float | None:
    own = str(item).strip(" \0").replace(",", ".")
    if len(own) > _LONGEST or not _NUMBER.fullmatch(own) or not math.isfinite(float(own)):
        return None
    if representation == "DS":
        return own if len(own) <= 16 else format_number_as_ds(float(own))
    if representation in ("FD", "FL"):
        fits = representation == "FD" or abs(float(own)) <= _LARGEST_FLOAT
        return float(own) if fits else None
    number = float(own)
    if representation == "US or SS":
        return in_range_of_pixels(number, signed=signed)
    number = int(own) if own.lstrip("+-").isdecimal() else number
    least, most = _RANGES.get(representation, (0, -1))
    return int(number) if number == int(number) and least <= number <= most else None


def _characteristic(keyword: str, value: Any) -> tuple[Any, Action]:
    if keyword == SEX and str(value) in ("M", "F", "O"):
        return str(value), "kept"
    if keyword == AGE and re.fullmatch(r"\d{3}[DWMY]", str(value)):
        old = str(value)[3] == "Y" and int(str(value)[:3]) > 90
        return ("090Y", "replaced") if old else (str(value), "kept")
    if keyword in BUILD and (number := _plain_numbers(value, "DS")) is not None:
        return number, "kept"
    return None, "removed"
