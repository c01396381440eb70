"""Severe disease hides fissures: the border stays where it is expected, if no course shows more."""

import numpy as np
import pytest

from lungscore.anatomy import find_lobes, find_lungs, include_infection
from lungscore.labels import LOBE_ORDER, LOBES
from lungscore.scan.phantom import make_phantom


@pytest.mark.slow
def test_no_lobe_goes_astray_where_disease_hides_its_fissure() -> None:
    phantom = make_phantom("severe")
    scan = phantom.scan
    lungs = include_infection(find_lungs(scan), phantom.lesions > 0, scan).labels
    lobes = find_lobes(lungs, scan.spacing_mm, hounsfield=scan.values)
    for name in LOBE_ORDER:
        ours, true = lobes == LOBES[name], phantom.lobes == LOBES[name]
        dice = 2 * np.count_nonzero(ours & true) / (np.count_nonzero(ours) + np.count_nonzero(true))
        assert dice > 0.85, name
