"""Whether a scan looks like what its network learned from."""

import json

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import ndimage

from lungscore.anatomy import Lungs
from lungscore.errors import ResourceError
from lungscore.inference import Segmenter, load_bundle, segment
from lungscore.inference.appearance import STATISTICS, look
from lungscore.inference.bundle import CARD, Familiar
from lungscore.inference.familiarity import looks, strange_in, unlike_notice
from lungscore.inference.views import views
from lungscore.scan.phantom import make_phantom
from tests.inference.random_bundle import images_of
from tests.inference.small_scans import scan_of

# One slice


def chest(*, vessels: bool = True) -> np.ndarray:
    """Two dark lungs in bright tissue, and a little noise."""
    grey = np.full((256, 320), 0.9, np.float32)
    grey[40:216, 35:120] = grey[40:216, 200:285] = 0.3
    if vessels:
        grey[40:216, 40:280:12] = 0.9
    return grey + np.random.default_rng(0).normal(0, 0.01, grey.shape).astype(np.float32)


def test_a_slice_has_every_statistic_and_they_are_numbers():
    for grey in (chest(), *images_of(2), np.zeros((64, 96))):
        statistics = look(np.asarray(grey, np.float32))
        assert list(statistics) == list(STATISTICS)
        assert all(type(value) is float and np.isfinite(value) for value in statistics.values())


def test_statistics_of_a_known_slice():
    statistics = look(chest(vessels=False))
    assert statistics["darkest"] == pytest.approx(0.3, abs=0.02)
    assert statistics["tissue"] == pytest.approx(0.9, abs=0.02)
    assert statistics["brightest"] == pytest.approx(0.9, abs=0.03)
    assert statistics["layout"] == pytest.approx(1, abs=0.05)
    assert statistics["black"] == 0
    # The Laplacian of noise of one pixel has √20 times its deviation; the median is 0.6745 of that.
    contrast = statistics["brightest"] - statistics["darkest"]
    assert statistics["noise"] == pytest.approx(0.01 * 20**0.5 * 0.6745 / contrast, rel=0.05)


@pytest.mark.parametrize(
    ("name", "spoil", "rises"),
    [
        ("layout", lambda grey: 1 - grey, False),
        ("noise", lambda g: g + np.random.default_rng(1).normal(0, 0.1, g.shape), True),
        ("edges", lambda grey: ndimage.gaussian_filter(grey, 4), False),
        ("tissue", lambda grey: grey / 3, False),
        ("darkest", lambda grey: grey**0.3, True),
        ("black", lambda grey: np.clip((grey - 0.5) * 2, 0, 1), True),
    ],
)
def test_what_is_spoiled_shows(name, spoil, rises):
    before = look(chest())[name]
    after = look(np.asarray(spoil(chest()), np.float32))[name]
    assert after > before + 0.05 if rises else after < before - 0.05


def test_what_lies_outside_its_range_is_named_and_the_edges_lie_inside():
    ranges = {"tissue": (0.5, 0.9), "noise": (0.0, 0.1)}
    assert strange_in({"tissue": 0.5, "noise": 0.1}, ranges) == []
    assert strange_in({"tissue": 0.49, "noise": 0.11}, ranges) == ["tissue", "noise"]


# A scan


def familiar(**ranges) -> Familiar:
    return Familiar(ranges=ranges, slices=10, command="none")


def card(bundle, block: Familiar | None):
    return bundle.card.model_copy(update={"familiar": block})


def test_the_statistics_are_of_the_slices_as_the_network_sees_them(phantom, lungs, bundle):
    spec = bundle.card.input
    statistics = looks(phantom.scan, lungs, spec)
    seen = list(views(phantom.scan, lungs))
    assert list(statistics) == [view.index for view in seen]
    assert statistics[seen[3].index] == look(seen[3].of(phantom.scan, spec))


def test_of_a_lone_slice_the_narrowest_box_counts(bundle):
    crop = (255 * images_of(1)[0]).astype(np.uint8)[None]
    scan = scan_of(crop, sides_known=False)
    lungs = Lungs(np.ones(crop.shape, np.uint8), sides_known=False)
    first = next(views(scan, lungs))
    assert looks(scan, lungs, bundle.card.input) == {0: look(first.of(scan, bundle.card.input))}


def test_a_scan_is_unlike_where_most_of_its_lung_lies_in_strange_slices(bundle):
    values = np.full((4, 64, 96), -1350, np.int16)
    values[:2] = 1000  # white throughout: two of four slices
    scan = scan_of(values)
    labels = np.ones(values.shape, np.uint8)
    only_dark = card(bundle, familiar(brightest=(-1.0, 0.5)))
    assert unlike_notice(scan, Lungs(labels, True), only_dark) is None  # one half, not more
    labels[3, 40:, 1:-1] = 0  # less lung in a slice that is not strange
    notice = unlike_notice(scan, Lungs(labels, True), only_dark)
    assert notice.code == "unlike-training"
    assert STATISTICS["brightest"] in notice.message
    assert " % of the lungs" in notice.message


def test_without_a_block_in_the_card_no_scan_is_called_unlike(phantom, lungs, bundle):
    assert bundle.card.familiar is None
    assert unlike_notice(phantom.scan, lungs, bundle.card) is None


def test_the_notice_comes_with_the_lesions(phantom, lungs, bundle):
    strange = Segmenter(bundle, threads=1)
    object.__setattr__(strange.bundle, "card", card(bundle, familiar(tissue=(2.0, 3.0))))
    try:
        lesions = segment(phantom.scan, lungs, strange)
    finally:
        object.__setattr__(strange.bundle, "card", card(bundle, None))
    assert [notice.code for notice in lesions.notices] == [
        "unlike-training",
        "solid-lung",
        "hu-split",
    ]
    assert lesions.labels.any()


# The card


@pytest.mark.parametrize(
    "ranges", [{}, {"beauty": (0.0, 1.0)}, {"noise": (0.2, 0.1)}, {"noise": (0.1, 0.1)}]
)
def test_a_block_that_means_nothing_is_refused(ranges):
    with pytest.raises(ValidationError):
        familiar(**ranges)


def test_a_damaged_block_damages_the_card(bundle, tmp_path):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(bundle.folder, folder)
    content = json.loads((folder / CARD).read_text())
    content["familiar"] = {"ranges": {"beauty": [0, 1]}, "slices": 3, "command": "x"}
    (folder / CARD).write_text(json.dumps(content))
    with pytest.raises(ResourceError) as caught:
        load_bundle(folder)
    assert caught.value.code == "model-damaged"
    content["familiar"] = familiar(noise=(0.0, 0.2)).model_dump(mode="json")
    (folder / CARD).write_text(json.dumps(content))
    assert load_bundle(folder).card.familiar.ranges == {"noise": (0.0, 0.2)}


def test_the_shipped_card_repeats_the_measured_block():
    from pathlib import Path

    result = Path(__file__).parents[2] / "experiments" / "results" / "familiar.json"
    shipped = load_bundle().card.familiar
    assert shipped == Familiar.model_validate(json.loads(result.read_text())["familiar"])
    assert set(shipped.ranges) == set(STATISTICS)


@pytest.mark.parametrize("preset", ["healthy", "severe"])
def test_a_phantom_looks_familiar_to_the_shipped_network(preset):
    phantom = make_phantom(preset, shape=(28, 256, 256))
    lungs = Lungs(phantom.lungs, sides_known=True)
    assert unlike_notice(phantom.scan, lungs, load_bundle().card) is None


@pytest.mark.parametrize("spoil", [lambda hu: -hu - 1000, lambda hu: hu / 8 - 1150])
def test_a_spoiled_phantom_does_not(spoil):
    phantom = make_phantom("mild", shape=(28, 256, 256))
    lungs = Lungs(phantom.lungs, sides_known=True)
    spoiled = scan_of(spoil(phantom.scan.values.astype(float)).astype(np.int16))
    assert unlike_notice(spoiled, lungs, load_bundle().card) is not None
