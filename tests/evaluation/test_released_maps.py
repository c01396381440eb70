"""The evaluator against figures of prediction maps that others released.

The figures below belong to the maps that came with Inf-Net's release, on the 24 test slices at
hand, measured by another evaluator. They are no figures of this project.
"""

import json

import numpy as np
import pytest

from lungscore.cli.main import call
from lungscore.datasets.covid_semiseg import load
from lungscore.datasets.images import files_by_stem, pair, read_grey, read_mask
from lungscore.evaluation.infection import score_slice
from lungscore.evaluation.lesions import score_lesions
from lungscore.evaluation.protocols import on_released_maps
from tests.evaluation import slow_toolbox
from tests.sampling import sampled

#: Dice at 0.5, its 95 % interval, toolbox mean Dice, toolbox MAE and correlation of infected areas.
INFECTION = {
    "UNet": (0.538, (0.453, 0.621), 0.437, 0.191, 0.575),
    "UNet++": (0.691, (0.624, 0.755), 0.567, 0.124, 0.802),
    "Inf-Net": (0.715, (0.659, 0.769), 0.659, 0.087, 0.965),
    "Semi-Inf-Net": (0.760, (0.711, 0.806), 0.729, 0.066, 0.981),
}

#: Dice over the slices that hold the class, and how many do.
CLASSES = {
    ("ggo", "DeepLabV3Plus_Stride16"): (0.463, 24),
    ("ggo", "DeepLabV3Plus_Stride8"): (0.374, 24),
    ("ggo", "FCN8s_1100"): (0.475, 24),
    ("ggo", "Semi-Inf-Net_FCN8s_1100"): (0.653, 24),
    ("ggo", "Semi-Inf-Net_UNet"): (0.625, 24),
    ("consolidation", "DeepLabV3Plus_Stride16"): (0.270, 18),
    ("consolidation", "DeepLabV3Plus_Stride8"): (0.181, 18),
    ("consolidation", "FCN8s_1100"): (0.324, 18),
    ("consolidation", "Semi-Inf-Net_UNet"): (0.490, 18),
}

TEST = "covid-semiseg/TestingSet"
TRUTH = {
    "infection": f"{TEST}/LungInfection-Test/GT",
    "ggo": f"{TEST}/MultiClassInfection-Test/GT-1",
    "consolidation": f"{TEST}/MultiClassInfection-Test/GT-2",
}


def folders(real_data, kind: str, method: str):
    return real_data / "peer-predictions" / kind / method, real_data / TRUTH[kind]


@pytest.mark.data
@pytest.mark.parametrize("method", sampled(sorted(INFECTION), every=2))
def test_figures_of_released_maps_are_reproduced(real_data, method):
    figures = on_released_maps(*folders(real_data, "infection", method))
    dice, interval, toolbox_dice, toolbox_mae, correlation = INFECTION[method]
    assert figures["dice"]["n"] == figures["where_present"]["n"] == 24
    assert figures["dice"]["mean"] == pytest.approx(dice, abs=0.002)
    assert (figures["dice"]["low"], figures["dice"]["high"]) == pytest.approx(interval, abs=0.005)
    assert figures["toolbox_dice"]["mean"] == pytest.approx(toolbox_dice, abs=0.002)
    assert figures["toolbox_mae"]["mean"] == pytest.approx(toolbox_mae, abs=0.002)
    assert figures["area_correlation"] == pytest.approx(correlation, abs=0.002)


@pytest.mark.data
@pytest.mark.parametrize(("kind", "method"), sampled(sorted(CLASSES), every=4))
def test_figures_of_released_class_maps_are_reproduced(real_data, kind, method):
    figures = on_released_maps(*folders(real_data, kind, method))["where_present"]
    dice, count = CLASSES[kind, method]
    assert figures["dice"]["n"] == count
    assert figures["dice"]["mean"] == pytest.approx(dice, abs=0.002)


@pytest.mark.data
def test_class_maps_score_the_same_together(real_data):
    files_of_classes = [
        files_by_stem(folders(real_data, kind, "Semi-Inf-Net_UNet")[0])
        for kind in ("ggo", "consolidation")
    ]
    maps = []
    for sample in load(real_data / "covid-semiseg", "test"):
        # Files are stored transposed, samples are turned back.
        ggo, consolidation = (read_mask(files[sample.name]).T for files in files_of_classes)
        assert not (ggo & consolidation).any()
        maps.append((sample.name, ggo + 2 * consolidation, sample.lesions))
    figures = score_lesions(maps)
    for kind in ("ggo", "consolidation"):
        dice, count = CLASSES[kind, "Semi-Inf-Net_UNet"]
        assert figures[kind]["n"] == len(figures[kind]["slices"]) == count
        assert figures[kind]["dice"]["mean"] == pytest.approx(dice, abs=0.002)
    assert figures["consolidation"]["absent"]["n"] == 6


@pytest.mark.data
@pytest.mark.parametrize(
    ("kind", "method", "index"),
    [
        ("infection", "UNet", 3),
        ("infection", "Semi-Inf-Net", 11),
        ("consolidation", "Semi-Inf-Net_UNet", 20),
    ],
)
def test_the_toolbox_agrees_with_its_definition_on_real_maps(real_data, kind, method, index):
    name, probability_map, mask = pair(*folders(real_data, kind, method))[index]
    # Every third row and column: the definition, written out, is slow.
    grey, truth = (
        np.ascontiguousarray(read(path)[::3, ::3])
        for read, path in ((read_grey, probability_map), (read_mask, mask))
    )
    row = score_slice(name, grey / 255, truth).row
    for key, expected in slow_toolbox.scores(grey, truth).items():
        assert row[key] == pytest.approx(expected, abs=1e-9), key


@pytest.mark.data
def test_the_command_tells_the_figures_and_writes_them(real_data, tmp_path, capsys):
    maps, truth = folders(real_data, "consolidation", "FCN8s_1100")
    code = call(["evaluate", "maps", str(maps), str(truth), "--out", str(tmp_path / "r.json")])
    assert not code
    told = capsys.readouterr()
    assert "where the truth is not empty: 0.324" in " ".join((told.out + told.err).split())
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["command"] == "lungscore evaluate maps FCN8s_1100"
    assert len(result["figures"]["slices"]) == 24
    assert any("in pixels of the slice" in line["text"] for line in result["card"])
