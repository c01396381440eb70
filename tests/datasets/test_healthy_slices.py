from types import SimpleNamespace

import numpy as np
import pytest

from lungscore.datasets import healthy


@pytest.fixture
def scan(monkeypatch):
    """Ten slices, of which 2 to 8 show lung that touches the top border of the image."""
    values = np.arange(10 * 40 * 50, dtype=np.int16).reshape(10, 40, 50)
    labels = np.zeros(values.shape, np.uint8)
    labels[2:9, 0:20, 5:45] = 1
    monkeypatch.setattr(
        healthy, "read_scan", lambda path: SimpleNamespace(values=values, name=path.name)
    )
    monkeypatch.setattr(healthy, "find_lungs", lambda scan: SimpleNamespace(labels=labels))
    return values


def test_every_slice_with_lung_is_taken_also_where_its_box_reaches_over_the_border(scan, tmp_path):
    samples = healthy.load(tmp_path / "somebody", margin=0.1)
    assert [sample.name for sample in samples] == [f"somebody-{i:03d}" for i in range(2, 9)]
    for index, sample in zip(range(2, 9), samples, strict=True):
        assert not sample.infection.any()
        assert sample.patient == "somebody"
        assert sample.image.shape == (24, 48)  # 20 x 40 and a tenth on every side
        np.testing.assert_array_equal(sample.image[2:], scan[index, 0:22, 1:49])
        assert (sample.image[:2] == scan[index].min()).all()
        assert sample.lungs is not None
        assert sample.lungs.sum() == 20 * 40
        assert sample.lungs[2:22, 4:44].all()


def test_the_halves_share_no_slice(scan, tmp_path):
    names = {
        half: [sample.name for sample in healthy.load(tmp_path / "x", part=half)]
        for half in ("all", "cranial", "caudal")
    }
    assert names["cranial"] == ["x-002", "x-003", "x-004"]
    assert names["cranial"] + names["caudal"] == names["all"]
