"""The job that the review is for: planted faults are mended in few actions."""

import json

import numpy as np
import pytest
from scipy import ndimage

pytest.importorskip("starlette")

from lungscore import score
from lungscore.assessment import as_lungs, assess
from lungscore.cli.main import call
from lungscore.inference import Lesions
from lungscore.labels import GGO, LEFT_LUNG
from lungscore.report.outputs import write_outputs
from lungscore.report.settings import ReportSettings
from lungscore.result import to_result
from lungscore.review.opened_case import ScanFinder
from lungscore.review.server.desk import Desk, DeskSettings
from lungscore.review.work_list import listed_cases
from lungscore.scan import read_scan
from lungscore.scan.phantom import make_phantom
from lungscore.scan.write import write_nifti
from tests.review.asking import Browser

MOST_ACTIONS = 40
MENDED = range(12, 18)


def spoiled(phantom) -> np.ndarray:
    """The lesions with false pieces in the left lung, and without those of six slices."""
    lesions = np.where(phantom.lungs == LEFT_LUNG, 0, phantom.lesions).astype(np.uint8)
    lesions[MENDED.start : MENDED.stop] = 0
    inside = ndimage.binary_erosion(phantom.lungs == LEFT_LUNG, iterations=3)
    generator = np.random.default_rng(4)
    for z, y, x in generator.permutation(np.argwhere(inside))[:14]:
        lesions[z, y - 1 : y + 2, x - 1 : x + 2] = GGO
    return lesions


def test_planted_faults_are_mended_in_few_actions(tmp_path):
    phantom = make_phantom("several-patches", seed=1, shape=(28, 96, 96))
    scan_path = tmp_path / "scans" / "case.nii.gz"
    scan_path.parent.mkdir()
    write_nifti(phantom.scan, scan_path)
    lesions = Lesions(spoiled(phantom), (), None)
    analysis = assess(
        read_scan(scan_path), as_lungs(phantom.lungs, "lungs"), lesions, lobes=phantom.lobes
    )
    results = tmp_path / "results"
    write_outputs(analysis, results, settings=ReportSettings("none"))
    desk = Desk(
        listed_cases(results), ScanFinder([scan_path.parent], results), DeskSettings("Anna")
    )
    browser = Browser(desk)
    opened = browser.open("case")
    session = f"/api/sessions/{opened['session']}"
    shape, version, actions = opened["case"]["shape"], 0, 0

    def do(**body: object) -> None:
        nonlocal version, actions
        answer = browser.post(f"{session}/edits", {"version": version, **body})
        assert answer.status == 200, answer.body
        version, actions = answer.json["version"], actions + 1

    def labels(layer: str) -> np.ndarray:
        data = browser.get(f"{session}/labels/{layer}").data
        return np.frombuffer(data, np.uint8).reshape(shape)

    lungs = labels("lungs")
    while (false := np.argwhere((labels("lesions") > 0) & (lungs == LEFT_LUNG))).size:
        do(tool="component", layer="lesions", at=false[0].tolist())
    do(tool="fill_between", slices=[MENDED.start - 1, MENDED.stop])
    assert actions <= MOST_ACTIONS
    mended = labels("lesions")
    assert all(mended[z].any() for z in MENDED)
    saved = browser.post(f"{session}/save", {"version": version, "verdict": "corrected"}).json
    desk.close_all()

    case = results / "case"
    review = case / saved["folder"]
    assert (review / "report.html").is_file()
    stored = json.loads((review / "result.json").read_text())
    assert stored.pop("method") == "reviewed by Anna"
    masks = {kind: review / f"{kind}.nii.gz" for kind in ("lungs", "lesions", "lobes")}
    assert stored == json.loads(to_result(score(**masks, ct=scan_path, name="case")).to_json())
    assert call(["compare", str(case), str(review), "-o", str(tmp_path / "change")]) == 0
    truth = np.where(phantom.lungs == LEFT_LUNG, 0, phantom.lesions) > 0
    before, after = spoiled(phantom) > 0, mended > 0
    assert not (after & (phantom.lungs == LEFT_LUNG)).any()
    assert np.count_nonzero(after ^ truth) < np.count_nonzero(before ^ truth)
