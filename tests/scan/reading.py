"""What reading an input comes to: the codes of its notices, or its rejection."""

from pathlib import Path

import numpy as np
import pytest

from lungscore.errors import InputError
from lungscore.scan import Scan, read_scan
from tests.scan.scan_builder import chest


def codes(scan: Scan) -> list[str]:
    """The codes of the scan's notices, in their order."""
    return [notice.code for notice in scan.notices]


def rejection(path: Path, **options: object) -> InputError:
    """The error that reading ``path`` ends in."""
    with pytest.raises(InputError) as caught:
        read_scan(path, **options)  # type: ignore[arg-type]
    return caught.value


def check_read(path: Path) -> Scan:
    """The scan at ``path``, which must be the chest that ``write_series`` writes."""
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.values, chest())
    assert scan.spacing_mm == pytest.approx((2.0, 0.7, 0.8))
    return scan
