"""Every code is explained where the messages send people."""

import re
from pathlib import Path

import pytest

from lungscore.errors import NOTICES, REJECTIONS
from lungscore.scan import limits

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("code", [*REJECTIONS, *NOTICES])
def test_code_is_explained_once_with_what_to_do(code: str) -> None:
    text = (DOCS / "errors.md").read_text()
    assert len(re.findall(rf"^\| `{code}` \| .+ \| .+ \|$", text, re.M)) == 1


def test_no_code_is_explained_that_does_not_exist() -> None:
    explained = re.findall(r"^\| `([a-z0-9-]+)` \|", (DOCS / "errors.md").read_text(), re.M)
    assert set(explained) == {*REJECTIONS, *NOTICES}


def test_limits_are_documented_as_they_are() -> None:
    text = (DOCS / "inputs.md").read_text()
    assert (limits.MAX_VOXELS, limits.MAX_SLICE_PIXELS) == (2**30, 2**24)
    assert f"| {limits.MAX_FILES // 1000} 000 |" in text
    assert f"| {limits.MAX_FOLDER_DEPTH} |" in text
    assert f"{limits.MAX_UNPACKED_BYTES // 2**30} GiB, {limits.MAX_UNPACK_RATIO} times" in text
    assert f"| {limits.MAX_DEFLATED_BYTES // 2**20} MiB |" in text
    (low, high), (low_z, high_z) = limits.PIXEL_MM, limits.SLICE_MM
    assert f"{low:g}–{high:g} mm within slices, {low_z:g}–{high_z:g} mm between" in text
