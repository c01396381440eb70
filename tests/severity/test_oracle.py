"""Every number against plain loops over voxels (slow_measure.py)."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lungscore.anatomy import divide_regions
from lungscore.labels import REGIONS
from lungscore.scan.phantom import Phantom
from lungscore.severity import SPECK_ML, Severity
from tests.severity.maps import MAPS, measured
from tests.severity.slow_measure import ORDER, SlowMeasure


def compare(severity: Severity, slow: SlowMeasure) -> None:
    """All numbers are equal, but for the sum of the specks, which rounds in the last bit."""
    lungs = severity.lungs
    assert lungs.volume_ml == len(slow.voxels) * slow.voxel_ml
    assert lungs.infection_ml == len(slow.infected) * slow.voxel_ml
    assert severity.po == lungs.infection_percent == slow.lungs()
    assert lungs.ggo_percent == slow.lungs(kinds=(1,))
    assert lungs.consolidation_percent == slow.lungs(kinds=(2,))
    assert severity.pho == lungs.dense_percent == slow.lungs(dense=True)
    assert severity.mosmed == slow.mosmed()
    assert severity.right is not None
    assert severity.left is not None
    assert severity.right.infection_percent == slow.lung(1)
    assert severity.left.infection_percent == slow.lung(2)
    for name in ORDER:
        lobe = severity.lobes[name]
        assert lobe.infection_percent == slow.lobe(name)
        assert lobe.ggo_percent == slow.lobe(name, kinds=(1,))
        assert lobe.consolidation_percent == slow.lobe(name, kinds=(2,))
        assert lobe.dense_percent == slow.lobe(name, dense=True)
    for number, (name, _) in enumerate(REGIONS, start=1):
        assert severity.ct_ss.parts[name].percent == slow.region(number)
    assert [part.percent for part in severity.zones.parts.values()] == slow.zones()
    for name, total in slow.scores().items():
        assert getattr(severity, name).total == total, name
    compare_patterns(severity, slow)


def compare_patterns(severity: Severity, slow: SlowMeasure) -> None:
    if slow.voxels:
        for name, count in slow.bands().items():
            band = severity.aeration.bands[name]
            assert band.ml == count * slow.voxel_ml
            assert band.percent == 100 * count / len(slow.voxels)
        for name in ORDER:
            assert severity.aeration.well_aerated_of_lobes[name] == slow.well_aerated(name)
    expected = slow.lesion_sizes(SPECK_ML)
    assert severity.lesions.specks_ml == pytest.approx(expected.pop("specks_ml"))
    for name, value in expected.items():
        assert getattr(severity.lesions, name) == value, name
    where = severity.distribution
    assert (where.posterior.infection_percent, where.posterior.lung_percent) == slow.posterior()
    assert (where.lower.infection_percent, where.lower.lung_percent) == slow.lower()
    percents = [slow.lung(1), slow.lung(2)]
    known = None not in percents
    assert where.bilateral == (all(p >= 1 for p in percents) if known else None)
    lobes = [slow.lobe(name) for name in ORDER]
    assert where.lobes_affected == (None if None in lobes else sum(p >= 1 for p in lobes))


@settings(max_examples=60, deadline=None)
@given(MAPS, st.sampled_from([0.02, 0.05, 0.25]))
def test_random_maps(maps: dict[str, np.ndarray], voxel_ml: float) -> None:
    compare(measured(maps, voxel_ml=voxel_ml), SlowMeasure(maps, voxel_ml))


@pytest.mark.parametrize("preset", ["healthy", "mild", "moderate", "severe", "dense", "one-lung"])
def test_phantoms(small_phantom: Callable[[str], Phantom], preset: str) -> None:
    """True lungs, lobes, regions and lesions give exactly the true numbers."""
    phantom = small_phantom(preset)
    scan = phantom.scan
    maps = {
        "lungs": phantom.lungs,
        "lesions": phantom.lesions,
        "lobes": phantom.lobes,
        "regions": divide_regions(phantom.lobes, scan.spacing_mm),
        "hu": scan.values,
        "dense": scan.values >= -200,
    }
    severity = measured(maps, voxel_ml=scan.voxel_ml)
    compare(severity, SlowMeasure(maps, scan.voxel_ml or 0.0))
    truth = phantom.truth
    assert severity.lungs.volume_ml == truth["lungs_ml"]
    assert severity.lungs.infection_ml == truth["infection_ml"]
    for name in ("infection_percent", "ggo_percent", "consolidation_percent"):
        assert getattr(severity.lungs, name) == truth[name]
        for lobe, numbers in truth["lobes"].items():
            assert getattr(severity.lobes[lobe], name) == numbers[name]
    for lobe, numbers in truth["lobes"].items():
        assert severity.lobes[lobe].volume_ml == numbers["volume_ml"]
    assert severity.right is not None
    assert severity.left is not None
    for side, part in (("right", severity.right), ("left", severity.left)):
        assert part.volume_ml == truth[f"{side}_ml"]
        assert part.infection_percent == truth[f"{side}_percent"]
