"""What docs/anatomy.md says of lobes is what the result files give."""

from pathlib import Path

import pytest

from generated_blocks import block_of
from lobes_page import BLOCKS, text_of

ANATOMY = Path(__file__).parents[2] / "docs" / "anatomy.md"


@pytest.mark.parametrize("block", BLOCKS)
def test_the_page_holds_what_its_result_files_give(block: str) -> None:
    assert block_of(ANATOMY.read_text(encoding="utf-8"), block) == text_of(block)
