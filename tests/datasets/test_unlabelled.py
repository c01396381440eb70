"""The slices without radiologists' labels, and the soft maps that come with them."""

import numpy as np
import pytest
from PIL import Image

from lungscore.datasets import covid_semiseg
from lungscore.datasets.sample import Sample, with_soft_labels
from lungscore.datasets.training_slices import load_infected
from lungscore.errors import InputError

PSEUDO = "TrainingSet/LungInfection-Train/Pseudo-label"


@pytest.fixture
def root(tmp_path):
    """Three slices of two volumes with soft maps, stored transposed."""
    root = tmp_path / "covid-semiseg"
    for index, name in enumerate(("a_1", "a_2", "b_1")):
        rng = np.random.default_rng(index)
        for folder in ("Imgs", "GT"):
            path = root / PSEUDO / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (20, 14)).astype(np.uint8)).save(path)
    return root


def stored(root, folder: str, name: str) -> np.ndarray:
    return np.asarray(Image.open(root / PSEUDO / folder / f"{name}.png"))


def rejected(load, code: str) -> str:
    with pytest.raises(InputError) as caught:
        load()
    assert caught.value.code == code
    return caught.value.message


def test_released_maps_stay_soft_and_are_infected_from_one_half_on(root):
    samples = load_infected(("covid-semiseg-pseudo",), root.parent)
    assert [(s.name, s.patient) for s in samples] == [("a_1", "a"), ("a_2", "a"), ("b_1", "b")]
    for sample in samples:
        np.testing.assert_array_equal(sample.soft, stored(root, "GT", sample.name).T)
        np.testing.assert_array_equal(sample.infection, sample.soft >= 128)


def test_a_released_map_of_another_size_is_named(root):
    Image.fromarray(np.zeros((14, 20), np.uint8)).save(root / PSEUDO / "GT" / "a_2.png")
    assert "a_2" in rejected(lambda: covid_semiseg.load_pseudo(root), "label-invalid")


def test_unlabelled_slices_are_read_by_name_in_the_order_asked_for(root):
    assert covid_semiseg.unlabelled_names(root) == ["a_1", "a_2", "b_1"]
    samples = covid_semiseg.load_unlabelled(root, ["b_1", "a_1"])
    assert [sample.name for sample in samples] == ["b_1", "a_1"]
    np.testing.assert_array_equal(samples[0].image, stored(root, "Imgs", "b_1").T)
    assert not any(sample.infection.any() for sample in samples)
    assert len(covid_semiseg.load_unlabelled(root)) == 3
    message = rejected(lambda: covid_semiseg.load_unlabelled(root, ["c_1"]), "dataset-incomplete")
    assert "c_1" in message


def test_soft_labels_are_bytes_as_large_as_the_image():
    image = np.zeros((4, 5), np.uint8)
    sample = Sample(image, image > 0, "a", "b", lesions=image)
    soft = with_soft_labels(sample, np.full((4, 5), 128, np.uint8))
    assert soft.infection.all()
    assert soft.lesions is None
    for wrong in (np.zeros((5, 4), np.uint8), np.zeros((4, 5), np.float32)):
        with pytest.raises(ValueError, match="soft"):
            Sample(image, image > 0, "a", "b", soft=wrong)
