"""One phantom patient at two times: severe disease, then mild."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lungscore.analysis import assess
from lungscore.anatomy import Lungs
from lungscore.followup import FollowUp, compare
from lungscore.inference.lesions import EngineUsed, Lesions, ModelUsed
from lungscore.report.outputs import write_outputs
from lungscore.result import Analysis, to_result
from lungscore.scan.phantom import Phantom

MODEL = ModelUsed("infection", "0.2", "ab" * 32, "research")


def analysis_of(phantom: Phantom) -> Analysis:
    """The analysis of a phantom whose true masks were found."""
    lesions = Lesions(phantom.lesions, (MODEL,), EngineUsed("openvino", "f32"))
    return assess(phantom.scan, Lungs(phantom.lungs, True), lesions, lobes=phantom.lobes)


@pytest.fixture(scope="session")
def severe(small_phantom: Callable[[str], Phantom]) -> Analysis:
    return analysis_of(small_phantom("severe"))


@pytest.fixture(scope="session")
def mild(small_phantom: Callable[[str], Phantom]) -> Analysis:
    return analysis_of(small_phantom("mild"))


@pytest.fixture
def earlier(severe: Analysis) -> dict[str, Any]:
    """A result.json's content, to be changed at will."""
    return json.loads(to_result(severe).to_json())


@pytest.fixture
def later(mild: Analysis) -> dict[str, Any]:
    return json.loads(to_result(mild).to_json())


@pytest.fixture(scope="session")
def written(severe: Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The severe case as ``analyze`` writes it."""
    return write_outputs(severe, tmp_path_factory.mktemp("written"))


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged at will."""
    return Path(shutil.copytree(written, tmp_path / "written" / written.name))


@pytest.fixture
def make_follow_up(make_analysis: Callable[..., Analysis]) -> Callable[..., FollowUp]:
    """A FollowUp of two analyses, each with its own arguments of ``make_analysis``."""

    def make(
        earlier: dict[str, Any] | None = None, later: dict[str, Any] | None = None, **options: Any
    ) -> FollowUp:
        first = make_analysis(**{"name": "first", **(earlier or {})})
        second = make_analysis(**{"name": "second", "infected": False, **(later or {})})
        return compare(first, second, **options)

    return make
