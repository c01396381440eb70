"""What tests of DICOM objects share."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from lungscore.inference import Segmenter
from lungscore.scan.phantom import Phantom
from tests.pacs.series import analysed, write_phantom


@pytest.fixture(scope="session")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    small_phantom: Callable[[str], Phantom],
    segmenter: Segmenter,
) -> Callable[[str], tuple[Path, Path]]:
    """Series and folder of results of the phantom, lying in one of series.DIRECTIONS."""

    @cache
    def make(lying: str) -> tuple[Path, Path]:
        folder = tmp_path_factory.mktemp(lying)
        series = write_phantom(folder / "ct", small_phantom("moderate"), lying)
        return series, analysed(series, folder / "out", segmenter)

    return make
