import numpy as np
import pytest

from lungscore.datasets import covid_semiseg, medseg
from lungscore.datasets.training_slices import load_infected
from lungscore.scan.window import resize

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def crops(real_data):
    return {
        sample.name: sample for sample in covid_semiseg.load(real_data / "covid-semiseg", "train")
    }


@pytest.fixture(scope="module")
def test_slices(real_data):
    return covid_semiseg.load(real_data / "covid-semiseg", "test")


@pytest.fixture(scope="module")
def full(real_data):
    """The same slices in another window, in the very box of the crops."""
    samples = medseg.load_training_crops(real_data / "medseg-slices", margin=0)
    return {sample.name: sample for sample in samples}


def test_there_are_50_24_and_50_slices_and_none_is_in_both_sets(crops, test_slices, full):
    assert (len(crops), len(test_slices), len(full)) == (50, 24, 50)
    assert crops.keys() == full.keys()
    assert not crops.keys() & {sample.name for sample in test_slices}


def test_infection_is_ground_glass_opacity_or_consolidation(crops, test_slices):
    for sample in (*crops.values(), *test_slices):
        np.testing.assert_array_equal(sample.infection, sample.lesions > 0)
        assert 0.005 < sample.infection.mean() < 0.45


def test_turned_back_most_crops_are_wider_than_tall(crops, test_slices):
    """Two lungs lie side by side; 14 of the 74 crops are no wider than tall."""
    wider = [s.image.shape[1] > s.image.shape[0] for s in (*crops.values(), *test_slices)]
    assert sum(wider) == 60


def test_the_full_slices_lie_exactly_on_the_crops(crops, full):
    """By name, pixel on pixel: another window, but the same slice, box and orientation."""
    for name, crop in crops.items():
        assert full[name].image.shape == crop.image.shape
        together = np.corrcoef(full[name].image.ravel(), crop.image.ravel())[0, 1]
        assert together > 0.95, name
        overlap = np.count_nonzero(full[name].infection & crop.infection)
        total = np.count_nonzero(full[name].infection) + np.count_nonzero(crop.infection)
        assert 2 * overlap / total > 0.95, name


def test_no_test_slice_is_among_what_trains(real_data, test_slices):
    samples = load_infected(("covid-semiseg", "medseg"), real_data)
    assert len(samples) == 100

    def thumbnail(sample) -> np.ndarray:
        values = resize(sample.image.astype(np.float32), 16, 24)
        return (values - values.mean()).ravel() / values.std() / np.sqrt(values.size)

    trained = np.stack([thumbnail(sample) for sample in samples])
    tested = np.stack([thumbnail(sample) for sample in test_slices])
    similar = (trained @ tested.T).max(axis=0)
    # Test slice 91 is nearly a copy of a training slice, as the publishers split them; no other is.
    near = [s.name for s, value in zip(test_slices, similar, strict=True) if value > 0.97]
    assert near == ["91"]
