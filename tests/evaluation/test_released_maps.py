"""The evaluator against figures of prediction maps that others released."""

import pytest

from lungscore.evaluation.protocols import on_released_maps

#: Dice at 0.5, its 95 % interval, toolbox mean Dice, toolbox MAE and correlation of infected areas
#: of the maps that came with Inf-Net's release, on the 24 test slices at hand. They are figures of
#: the released maps, measured by another evaluator, and no figures of this project.
RELEASED = {
    "UNet": (0.538, (0.453, 0.621), 0.437, 0.191, 0.575),
    "UNet++": (0.691, (0.624, 0.755), 0.567, 0.124, 0.802),
    "Inf-Net": (0.715, (0.659, 0.769), 0.659, 0.087, 0.965),
    "Semi-Inf-Net": (0.760, (0.711, 0.806), 0.729, 0.066, 0.981),
}


@pytest.mark.data
@pytest.mark.parametrize("method", sorted(RELEASED))
def test_figures_of_released_maps_are_reproduced(real_data, method):
    figures = on_released_maps(
        real_data / "peer-predictions/infection" / method,
        real_data / "covid-semiseg/TestingSet/LungInfection-Test/GT",
    )
    dice, interval, toolbox_dice, toolbox_mae, correlation = RELEASED[method]
    assert figures["dice"]["n"] == 24
    assert figures["dice"]["mean"] == pytest.approx(dice, abs=0.002)
    assert (figures["dice"]["low"], figures["dice"]["high"]) == pytest.approx(interval, abs=0.005)
    assert figures["toolbox_dice"]["mean"] == pytest.approx(toolbox_dice, abs=0.002)
    assert figures["toolbox_mae"]["mean"] == pytest.approx(toolbox_mae, abs=0.002)
    assert figures["area_correlation"] == pytest.approx(correlation, abs=0.002)
