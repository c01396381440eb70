"""A small cohort with its scans, and the server over it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lungscore.assessment import as_lungs, assess
from lungscore.inference import Lesions
from lungscore.report.outputs import write_outputs
from lungscore.report.settings import ReportSettings
from lungscore.review import saving
from lungscore.scan import read_scan
from lungscore.scan.phantom import make_phantom
from lungscore.scan.write import write_nifti

SHAPE = (28, 96, 96)
CASES = ("few-patches", "several-patches")


@pytest.fixture(scope="session")
def written_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cases in ``results`` and their scans in ``scans``; not to be changed."""
    root = tmp_path_factory.mktemp("cohort")
    for seed, preset in enumerate(CASES):
        phantom = make_phantom(preset, seed=seed, shape=SHAPE)
        path = root / "scans" / f"case-{seed}.nii.gz"
        path.parent.mkdir(exist_ok=True)
        write_nifti(phantom.scan, path)
        scan = read_scan(path)
        lesions = Lesions(phantom.lesions.astype(np.uint8), (), None)
        analysis = assess(scan, as_lungs(phantom.lungs, "lungs"), lesions, lobes=phantom.lobes)
        write_outputs(analysis, root / "results", settings=ReportSettings("none"))
    return root


@pytest.fixture
def cohort(written_cohort: Path, tmp_path: Path) -> Path:
    """A copy of the cohort: ``results`` and ``scans``."""
    import shutil

    shutil.copytree(written_cohort, tmp_path / "cohort")
    return tmp_path / "cohort"


@pytest.fixture
def desk_over(cohort: Path):
    """Makes desks over the cohort, which are cleared when the test ends."""
    from lungscore.review.opened_case import ScanFinder
    from lungscore.review.server.desk import Desk, DeskSettings
    from lungscore.review.work_list import listed_cases

    desks = []

    def make(scans: bool = True, **settings: object) -> Desk:
        results = cohort / "results"
        find = ScanFinder([cohort / "scans"] if scans else [], results)
        desks.append(Desk(listed_cases(results), find, DeskSettings(**settings)))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close_all()


@pytest.fixture
def small_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports take seconds, and have tests of their own."""
    monkeypatch.setattr(saving, "DEFAULT", ReportSettings("none"))


@pytest.fixture
def browser(desk_over: Any) -> Any:
    """A browser before the desk (tests.review.asking)."""
    from tests.review.asking import Browser

    return Browser(desk_over())
