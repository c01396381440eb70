"""The lung network in its engines: one bundle, the same maps from each, and what scans get."""

import json
from pathlib import Path

import numpy as np
import pytest

from lungscore.anatomy import find_lungs
from lungscore.errors import UsageError
from lungscore.files import atomic_write
from lungscore.inference.bundle import (
    CARD,
    INPUTS,
    LUNGS_MODEL,
    OUTPUTS,
    Bundle,
    list_bundles,
    load_bundle,
)
from lungscore.inference.lung_finder import LungFinder
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG
from lungscore.scan.phantom import make_phantom
from tests.anatomy.chest import as_scan, dice
from tests.inference.random_bundle import card_of

SIZE = 64


@pytest.fixture(scope="module")
def lungs_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """An untrained lung network as a bundle."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from lungscore.learning.export import export_bundle
    from lungscore.networks import LungNet

    folder = tmp_path_factory.mktemp("lungs")
    torch.manual_seed(0)
    export_bundle(LungNet(), folder, height=SIZE, width=SIZE, target="lungs")
    card = card_of(
        folder,
        network="lung-net",
        encoder="none",
        inputs=INPUTS["lungs"],
        outputs=OUTPUTS["lungs"],
        input={
            "height": SIZE,
            "width": SIZE,
            "window_hu": (-1024, 400),
            "orientation": "anterior up",
        },
    )
    atomic_write(folder / CARD, json.dumps(card.model_dump(mode="json")))
    return load_bundle(folder)


@pytest.fixture(scope="module")
def chest():
    return make_phantom("healthy", shape=(40, 64, 64)).scan


@pytest.mark.slow
def test_every_engine_gives_the_same_maps(lungs_bundle: Bundle, chest) -> None:
    maps = {
        engine: LungFinder(lungs_bundle, engine=engine, threads=1).maps(chest).probabilities
        for engine in ("openvino", "onnxruntime", "torch")
    }
    for probabilities in maps.values():
        assert probabilities.shape[1:] == (3, SIZE, SIZE)
        assert probabilities.dtype == np.uint8
        # Rounding to a step of 1/255 is all that may differ.
        assert np.abs(probabilities.astype(int) - maps["torch"].astype(int)).max() <= 1


def test_a_model_for_something_else_is_refused(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="does not find lungs"):
        LungFinder(bundle)


def test_a_lung_network_is_no_model_for_infection(lungs_bundle: Bundle) -> None:
    from lungscore.inference import Segmenter

    with pytest.raises(UsageError):
        Segmenter(lungs_bundle)


@pytest.fixture(scope="module")
def shipped() -> LungFinder:
    if LUNGS_MODEL not in list_bundles():
        pytest.skip("no lung network is shipped")
    return LungFinder(threads=1)


def test_the_shipped_bundle_is_small_and_says_what_it_learned_from(shipped: LungFinder) -> None:
    bundle = shipped.bundle
    assert sum(path.stat().st_size for path in Path(bundle.folder).iterdir()) < 5e6
    assert bundle.card.data
    assert "non-commercial" in bundle.card.data_terms
    assert bundle.card.limits


def test_the_shipped_network_finds_a_phantoms_lungs_and_not_its_bowel(shipped: LungFinder) -> None:
    case = make_phantom("healthy", seed=3, shape=(64, 128, 128))
    lungs = find_lungs(case.scan, lambda: shipped.maps(case.scan))
    for side in (RIGHT_LUNG, LEFT_LUNG):
        assert dice(lungs.labels == side, case.lungs == side) > 0.96
    assert "lungs-doubtful" not in {notice.code for notice in lungs.notices}


@pytest.mark.slow
def test_a_mirrored_scan_has_its_sides_swapped(shipped: LungFinder) -> None:
    scan = make_phantom("healthy", seed=4, shape=(48, 96, 96)).scan
    straight = find_lungs(scan, lambda: shipped.maps(scan)).labels
    mirrored = as_scan(scan.values[:, :, ::-1].copy(), scan.spacing_mm)
    swapped = find_lungs(mirrored, lambda: shipped.maps(mirrored)).labels[:, :, ::-1]
    for side, opposite in ((RIGHT_LUNG, LEFT_LUNG), (LEFT_LUNG, RIGHT_LUNG)):
        assert dice(straight == side, swapped == opposite) > 0.97


@pytest.mark.data
def test_real_lungs_hold_their_air(shipped: LungFinder, real_data: Path) -> None:
    """A small labelled CT: each lung as its thirds say."""
    import nrrd

    from lungscore.scan import read_scan

    folder = real_data / "chest-imaging-platform"
    if not (folder / "ct-64.nrrd").exists():
        pytest.skip("ct-64 is not here")
    scan = read_scan(folder / "ct-64.nrrd")
    thirds = scan.geometry.to_canonical(nrrd.read(str(folder / "lm-64.nrrd"))[0]) & 255
    lungs = find_lungs(scan, lambda: shipped.maps(scan))
    for side, values in ((LEFT_LUNG, (9, 10, 11)), (RIGHT_LUNG, (12, 13, 14))):
        air = np.isin(thirds, values) & (scan.values < -400)
        assert (lungs.labels[air] == side).mean() > 0.95
