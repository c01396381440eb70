"""Solid lung counts as consolidation where the network is silent."""

from collections.abc import Iterator

import numpy as np
import pytest

from lungscore.anatomy import Lungs
from lungscore.inference import Segmenter, segment
from lungscore.inference.lesions import SliceFinding
from lungscore.inference.solid import LEAST, solid_notice, with_solid
from lungscore.labels import CONSOLIDATION
from lungscore.scan import Scan
from tests.anatomy.test_solid import SHAPE, ball, chest


@pytest.fixture
def silent(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> Segmenter:
    """A segmenter whose network finds nothing, however it looks."""

    def find(scan: Scan, lungs: Lungs, field: np.ndarray | None = None) -> Iterator[SliceFinding]:
        for index, plane in enumerate(scan.values):
            yield SliceFinding(
                index, np.zeros(plane.shape, np.float32), np.zeros(plane.shape, bool)
            )

    def otherwise(
        scan: Scan, lungs: Lungs, where: list[int], field: np.ndarray | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        yield from ((index, np.zeros((2, *scan.shape[1:]), np.float32)) for index in sorted(where))

    monkeypatch.setattr(segmenter, "find", find)
    monkeypatch.setattr(segmenter, "read_otherwise", otherwise)
    return segmenter


def test_it_is_consolidation_and_the_result_says_so(silent: Segmenter) -> None:
    truth = ball(SHAPE, 20)
    lungs, scan = chest(truth)
    lesions = segment(scan, lungs, silent)
    assert set(np.unique(lesions.labels)) == {0, CONSOLIDATION}
    assert (
        2 * ((lesions.labels > 0) & truth).sum() / ((lesions.labels > 0).sum() + truth.sum()) > 0.95
    )
    (notice,) = [notice for notice in lesions.notices if notice.code == "solid-lung"]
    ml = round(np.count_nonzero(lesions.labels) * 4.5 / 1000)  # voxels of 2 x 1.5 x 1.5 mm
    assert f"{ml} ml of solid lung" in notice.message


def test_the_ranges_hold_the_lung_with_and_without_it(silent: Segmenter) -> None:
    lungs, scan = chest(ball(SHAPE, 20))
    lesions = segment(scan, lungs, silent, alternatives=True)
    assert lesions.alternatives is not None
    sizes = [np.count_nonzero(labels) for labels in lesions.alternatives.lesions()]
    whole = np.count_nonzero(lesions.labels)
    assert sizes == [whole, whole, 0] * 3
    kinds = {int(kind) for labels in lesions.alternatives.lesions() for kind in np.unique(labels)}
    assert kinds == {0, CONSOLIDATION}


def test_aerated_lung_stays_as_the_network_says(silent: Segmenter) -> None:
    lungs, scan = chest(np.zeros(SHAPE, bool))
    lesions = segment(scan, lungs, silent)
    assert not lesions.labels.any()
    assert "solid-lung" not in {notice.code for notice in lesions.notices}


def test_what_the_network_is_surer_of_stays() -> None:
    probability = np.array([[0.0, 0.4, 0.9]], np.float32)
    solid = np.array([[True, False, True]])
    np.testing.assert_allclose(with_solid(probability, solid), [[LEAST, 0.4, 0.9]])
    assert probability[0, 0] == 0


def test_nothing_is_said_where_the_network_marked_all() -> None:
    lungs, scan = chest(ball(SHAPE, 20))
    assert solid_notice(scan, lungs, 0) is None
