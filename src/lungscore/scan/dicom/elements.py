"""Values of DICOM elements, as strictly as is safe and as leniently as is unambiguous."""

import math
import re
from typing import Any

#: Representations whose value is text: what stands there can be read as numbers.
_TEXTS = {"DS", "IS", "UT", "UN", "LO", "SH", "ST", "LT", "CS", "UC"}

#: A number; a comma is not allowed in one in DICOM, so it can only be a decimal sign.
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")


class Unreadable(ValueError):
    """An element is there, but what it says cannot be read."""


def element_value(dataset: Any, keyword: str) -> Any:
    """The value of an element, None where it is absent or cannot be converted."""
    try:
        return dataset.get(keyword)
    except Exception:  # conversion happens here, and may fail in any way
        return None


def text(dataset: Any, keyword: str) -> str:
    """The text of an element, "" where it is absent."""
    value = element_value(dataset, keyword)
    return "" if value is None else str(value).strip(" \0")


def texts(dataset: Any, keyword: str) -> list[str]:
    """The texts of an element of several values, in capitals."""
    value = element_value(dataset, keyword)
    if value is None:
        return []
    items = [value] if isinstance(value, str | bytes) or not hasattr(value, "__iter__") else value
    return [str(item).strip().upper() for item in items]


def numbers(dataset: Any, keyword: str, count: int) -> tuple[float, ...] | None:
    """The ``count`` finite numbers of an element; None where it is absent or empty.

    Decimal commas are read as points, and text in another representation (UT, UN) as the numbers
    that it spells. Raises Unreadable for anything else.
    """
    if keyword not in dataset:
        return None
    try:
        raw = dataset.get_item(keyword)
    except Exception:  # its value representation does not exist
        raise Unreadable(keyword) from None
    value = raw.value
    if value is None or (isinstance(value, bytes) and not value.strip(b" \0")):
        return None
    if isinstance(value, bytes) and _representation(raw) in _TEXTS:
        value = value.decode("latin-1")
    elif isinstance(value, bytes):
        value = element_value(dataset, keyword)
    if value is None or (isinstance(value, str) and not value.strip(" \0")):
        if raw.value:
            raise Unreadable(keyword)
        return None
    if isinstance(value, str):
        items: list[Any] = [_number(item) for item in _items(value, count)]
    else:
        items = list(value) if hasattr(value, "__iter__") else [value]
    try:
        result = tuple(float(item) for item in items)
    except (TypeError, ValueError, OverflowError):
        raise Unreadable(keyword) from None
    if len(result) != count or not all(map(math.isfinite, result)):
        raise Unreadable(keyword)
    return result


def number(dataset: Any, keyword: str) -> float | None:
    """The one number of an element, None where it is absent or empty. Raises Unreadable."""
    values = numbers(dataset, keyword, 1)
    return None if values is None else values[0]


def integer(dataset: Any, keyword: str, default: int) -> int:
    """The whole number of an element, ``default`` where there is none."""
    try:
        return int(element_value(dataset, keyword))
    except (TypeError, ValueError, OverflowError):
        return default


def _representation(raw: Any) -> str:
    """The value representation of an element; of implicit ones that of the dictionary."""
    if raw.VR:
        return str(raw.VR)
    from pydicom.datadict import dictionary_VR

    try:
        return dictionary_VR(raw.tag)
    except KeyError:
        return "UN"


def _items(value: str, count: int) -> list[str]:
    """The numbers in a text: separated by backslashes or, where there are none, by blanks."""
    value = value.strip(" \0[]()\r\n\t")
    if "\\" in value or count == 1:
        return value.split("\\")
    if "," in value and "." in value:  # points are the decimal signs, so commas part
        return [item for item in re.split(r"[,;\s]+", value) if item]
    return [item for item in re.split(r"[;\s]+", value) if item]


def _number(item: str) -> str:
    item = item.strip(" \0")
    if not _NUMBER.fullmatch(item):
        raise Unreadable(item)
    return item.replace(",", ".")
