"""Pre-training on the images of manifests: who takes part, how they are cut, and resuming."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lungscore.datasets.manifest import Row, write_rows
from lungscore.errors import InputError
from lungscore.inference.views import views_to_learn
from lungscore.learning import manifest_images, selection
from lungscore.learning import run as run_module
from lungscore.learning.checkpoints import read_facts
from lungscore.learning.manifest_images import OF_A_VOLUME, ManifestImages
from lungscore.learning.pretrain import pretrain
from lungscore.learning.run import run_experiment
from lungscore.scan import read_scan
from lungscore.scan.window import window
from lungscore.scan.write import write_dicom_series, write_nifti
from tests.datasets.volumes_on_disk import metaimage
from tests.learning.tiny_training import U_NET, experiment, logged, slices

pytestmark = pytest.mark.usefixtures("one_thread")


class Tree:
    """A folder of generated images, and the rows of its manifest."""

    def __init__(self, folder: Path, phantom) -> None:
        self.folder, self.phantom, self.rows = folder, phantom, []
        folder.mkdir(parents=True)

    def add(self, path: str, *, patient: str, group: str = "train", kind: str = "slice", **told):
        """A row; the mask that it names is not there, so that nobody can have read it."""
        row = {"label": None, "slice_label": None, "source": "generated", "mask": "masks/none.png"}
        sums = {"sha256": "0" * 64, "mask_sha256": "0" * 64}
        self.rows.append(
            Row(case=path, patient=patient, group=group, kind=kind, path=path, **row | sums | told)
        )

    def slice(self, index: int, path: str, *, grey: np.ndarray | None = None, **told) -> None:
        """Slice ``index`` of the phantom (or ``grey``) as a PNG in the lung window."""
        if grey is None:
            grey = np.uint8(255 * window(self.phantom.scan.values[index], -1350, 150))
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(grey).save(self.folder / path)
        self.add(path, **told)

    def write(self, name: str = "made", suffix: str = ".csv") -> Path:
        manifest = self.folder / f"{name}{suffix}"
        write_rows(self.rows, manifest)
        return manifest

    def images(self, **options) -> ManifestImages:
        return ManifestImages({"made": self.write()}, **options)


@pytest.fixture
def tree(tmp_path, small_phantom):
    return Tree(tmp_path / "data" / "manifests", small_phantom("moderate"))


@pytest.fixture
def patients(tree):
    """Five slices of five patients: three train, one validates, one tests."""
    groups = ("train", "test", "train", "validation", "train")
    for index, group in enumerate(groups):
        tree.slice(6 + index, f"{group}-{index}.png", patient=str(index), group=group)
    return tree


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pretraining(unlabelled=("made",), **changes):
    section = {"block": 8, "coach_width": 8, "unlabelled": list(unlabelled)}
    return experiment(**{"network": U_NET, "pretraining": section, "epochs": 2} | changes)


# Who takes part


def test_only_patients_of_the_group_train_ever_reach_a_batch(patients):
    for index in (1, 3):  # an image that is not there could not be read unnoticed
        next(patients.folder.glob(f"*-{index}.png")).unlink()
    images = patients.images()
    seen = {s.name for seed in range(20) for s in images.draw(2, rng(seed))[0]}
    assert seen == {"train-0.png:0", "train-2.png:0", "train-4.png:0"}
    assert images.counts == {"made": 3}


def test_every_image_comes_up_before_one_comes_up_again(patients):
    drawn, _ = patients.images().draw(100, rng())
    assert sorted(sample.name for sample in drawn) == [f"train-{i}.png:0" for i in (0, 2, 4)]


def test_no_more_images_are_read_than_an_epoch_draws(patients):
    images, read = patients.images(), []
    images._crops = lambda index, rng: read.append(index) or slices(1)
    images.draw(2, rng())
    assert len(read) == 2


def test_slices_in_memory_are_drawn_like_images_of_a_manifest(patients):
    images = patients.images()
    drawn = [s.source for i in range(200) for s in images.draw(1, rng(i), among=slices(3))[0]]
    assert 70 < drawn.count("generated") < 130


@pytest.mark.parametrize("fold", range(5))
def test_slices_that_a_fold_holds_out_come_in_by_no_manifest(tree, monkeypatch, fold):
    names = [str(name) for name in range(10)]
    monkeypatch.setattr(selection, "annotated_folds", lambda folds: {n: int(n) % 5 for n in names})
    for source in ("covid-semiseg", "medseg", "generated"):
        for name in names:
            tree.add(f"{source}/{name}.png", patient=f"{source}-{name}", source=source)
    tree.write()
    config = pretraining(data={"fold": fold})
    images = selection.manifest_images(config, tree.folder.parent)
    out = {name for name in names if int(name) % 5 == fold}
    for source in ("covid-semiseg", "medseg"):
        kept = {Path(image.path).stem for image in images.images if image.source == source}
        assert kept == set(names) - out
    assert images.counts == {"made": 26}


# How images are cut


def test_a_whole_slice_is_cut_to_the_box_of_its_lungs(tree):
    tree.slice(8, "a.png", patient="a")
    (sample,), _ = tree.images().draw(1, rng())
    scan = read_scan(tree.folder / "a.png")
    row0, row1, column0, column1 = views_to_learn(scan)[0].box
    assert 0 < row0 < row1 < 96
    assert sample.image.dtype == np.uint8
    np.testing.assert_array_equal(sample.image, scan.values[0, row0:row1, column0:column1])


def test_a_crop_that_lies_on_its_side_is_turned(tree):
    tree.slice(8, "a.png", patient="a")
    (upright,), _ = tree.images().draw(1, rng())
    tree.rows.clear()
    tree.slice(0, "b.png", patient="b", grey=np.ascontiguousarray(upright.image.T))
    (sample,), _ = tree.images().draw(1, rng())
    np.testing.assert_array_equal(sample.image, upright.image)


def test_crops_of_covid_semiseg_are_turned_and_no_lungs_are_looked_for(tree):
    grey = rng().integers(0, 256, (40, 30)).astype(np.uint8)
    tree.slice(0, "1.png", patient="a", grey=grey, source="covid-semiseg")
    (sample,), left_out = tree.images().draw(1, rng())
    np.testing.assert_array_equal(sample.image, grey.T)
    assert left_out == 0


def test_a_volume_gives_several_of_its_slices_with_lung_in_hounsfield_units(tree):
    write_nifti(tree.phantom.scan, tree.folder / "a.nii.gz")
    tree.add("a.nii.gz", patient="a", kind="volume")
    scan = read_scan(tree.folder / "a.nii.gz")
    expected = {f"a.nii.gz:{view.index}": view.cut(scan) for view in views_to_learn(scan)}
    assert 2 < len(expected) < len(scan.values)
    drawn, left_out = tree.images().draw(100, rng())
    assert left_out == 0
    assert len(drawn) == min(len(expected), OF_A_VOLUME)
    for sample in drawn:
        assert sample.image.dtype == np.int16
        np.testing.assert_array_equal(sample.image, expected[sample.name])


def test_a_metaimage_gives_the_slices_that_its_nifti_gives(tree):
    write_nifti(tree.phantom.scan, tree.folder / "a.nii.gz")
    values = np.ascontiguousarray(tree.phantom.scan.values.transpose(2, 1, 0)[..., ::-1])
    (tree.folder / "a.mha").write_bytes(metaimage(values, ElementSpacing="3.75 3.75 17.5"))
    samples = {}
    for name in ("a.nii.gz", "a.mha"):
        tree.rows.clear()
        tree.add(name, patient="a", kind="volume")
        drawn, _ = tree.images().draw(100, rng())
        samples[name] = {sample.name.split(":")[1]: sample.image for sample in drawn}
    assert len(samples["a.mha"]) > 2
    assert samples["a.mha"].keys() == samples["a.nii.gz"].keys()
    for index, image in samples["a.mha"].items():
        np.testing.assert_array_equal(image, samples["a.nii.gz"][index])


def test_no_more_than_so_many_slices_come_from_a_volume_and_all_have_their_turn(tree, monkeypatch):
    monkeypatch.setattr(manifest_images, "OF_A_VOLUME", 2)
    write_nifti(tree.phantom.scan, tree.folder / "a.nii.gz")
    tree.add("a.nii.gz", patient="a", kind="volume")
    views = views_to_learn(read_scan(tree.folder / "a.nii.gz"))
    images = tree.images()
    drawn = [images.draw(9, rng(seed))[0] for seed in range(40)]
    assert {len(samples) for samples in drawn} == {2}
    assert len({s.name for samples in drawn for s in samples}) == len(views)


def test_one_dicom_image_is_cut_by_itself(tree):
    write_dicom_series(tree.phantom.scan, tree.folder / "series")
    for path in sorted((tree.folder / "series").iterdir()):
        tree.add(f"series/{path.name}", patient="a", kind="dicom")
    drawn, left_out = tree.images().draw(100, rng())
    assert len(drawn) + left_out == len(tree.phantom.scan.values)
    assert len(drawn) > 5
    for sample in drawn:
        assert sample.image.dtype == np.int16
        assert max(sample.image.shape) < 96


# What shows no lungs, and what cannot be read


def test_images_without_lungs_are_left_out_and_counted(patients):
    square = np.full((96, 96), 40, np.uint8)
    square[30:60, 30:60] = np.arange(30) * 5 + 50
    coloured = np.zeros((96, 96, 3), np.uint8)
    coloured[20:50, 20:50] = (200, 30, 30)
    patients.slice(0, "square.png", patient="square", grey=square)
    patients.slice(0, "coloured.png", patient="coloured", grey=coloured)
    images = patients.images()
    for _ in range(2):  # known or not, they are counted
        drawn, left_out = images.draw(100, rng())
        assert (len(drawn), left_out) == (3, 2)


def test_images_without_any_lungs_are_an_error(tree):
    square = np.full((96, 96), 40, np.uint8)
    square[30:60, 30:60] = np.arange(30) * 5 + 50
    tree.slice(0, "square.png", patient="a", grey=square)
    with pytest.raises(InputError, match="No lungs in any of 1 images of made") as caught:
        tree.images().draw(1, rng())
    assert caught.value.code == "dataset-incomplete"


def test_a_search_for_lungs_ends(tree, monkeypatch):
    monkeypatch.setattr(manifest_images, "_ENOUGH", 3)
    for index in range(9):
        square = np.full((96, 96), 40 + index, np.uint8)
        square[30:60, 30:60] = np.arange(30) * 5 + 50
        tree.slice(0, f"{index}.png", patient=str(index), grey=square)
    with pytest.raises(InputError, match="No lungs in any of 3 images"):
        tree.images().draw(1, rng())


@pytest.mark.parametrize(
    ("content", "code"), [(b"\x89PNG\r\n\x1a\nx", "input-unreadable"), (None, "input-not-found")]
)
def test_a_damaged_image_stops_the_training_by_name(tree, content, code):
    tree.add("broken.png", patient="a")
    if content is not None:
        (tree.folder / "broken.png").write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.png") as caught:
        tree.images().draw(1, rng())
    assert caught.value.code == code


# A training


def weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return network.state_dict()


class StoppedError(Exception):
    """Ends a training early."""


@pytest.mark.slow
def test_a_stopped_pretraining_resumes_to_the_same_weights(patients, tmp_path):
    write_nifti(patients.phantom.scan, patients.folder / "a.nii.gz")
    patients.add("a.nii.gz", patient="volume", kind="volume")
    patients.slice(0, "grey.png", patient="grey", grey=rng().integers(0, 99, (64, 64), np.uint8))
    config = pretraining(epochs=3, slices_per_epoch=8)

    def stop(progress) -> None:
        if progress.epoch == 1:
            raise StoppedError

    first = pretrain(config, [], tmp_path / "one", manifests=patients.images())
    with pytest.raises(StoppedError):
        pretrain(config, [], tmp_path / "two", manifests=patients.images(), report=stop)
    second = pretrain(config, [], tmp_path / "two", manifests=patients.images(), resume=True)
    assert all(torch.equal(value, weights(second)[name]) for name, value in weights(first).items())
    rows = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in logged(tmp_path / run)]
        for run in ("one", "two")
    ]
    assert rows[0] == rows[1]
    assert {float(row["left_out"]) for row in rows[0]} <= {0.0, 1.0}


def test_other_groups_labels_and_masks_make_no_difference(patients, tmp_path):
    config = pretraining(slices_per_epoch=4)
    first = pretrain(config, [], tmp_path / "one", manifests=patients.images())
    patients.rows = [
        replace(row, label="severe", slice_label="x", mask=None, mask_sha256=None)
        for row in patients.rows
        if row.group == "train"
    ]
    second = pretrain(config, [], tmp_path / "two", manifests=patients.images())
    assert all(torch.equal(value, weights(second)[name]) for name, value in weights(first).items())


def test_the_manifest_s_checksum_goes_with_the_run_and_no_other_may_go_on(patients, tmp_path):
    config = pretraining(epochs=1, slices_per_epoch=2)
    images = patients.images()
    expected = {"made": hashlib.sha256((patients.folder / "made.csv").read_bytes()).hexdigest()}
    pretrain(config, [], tmp_path / "one", manifests=images)
    assert read_facts(tmp_path / "one" / "weights.safetensors")["manifests"] == expected

    def stop(progress) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        pretrain(config, [], tmp_path / "two", manifests=images, report=stop)
    patients.rows.pop()
    with pytest.raises(InputError, match="belongs to other manifests") as caught:
        pretrain(config, [], tmp_path / "two", manifests=patients.images(), resume=True)
    assert caught.value.code == "checkpoint-mismatch"


# From an experiment file


@pytest.fixture
def run(patients, tmp_path, monkeypatch):
    """Pre-trains what an experiment names; returns the lines that were said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LUNGSCORE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(run_module, "unlabelled_slices", lambda config, root: [])

    def run(*unlabelled: str) -> list[str]:
        config, said = pretraining(unlabelled, epochs=1, slices_per_epoch=4), []
        Path("pre.yaml").write_text(config.model_dump_json())
        run_experiment(Path("pre.yaml"), tmp_path / "run", report=said.append)
        return said

    return run


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_an_experiment_names_a_manifest(patients, run, suffix):
    square = np.full((96, 96), 40, np.uint8)
    square[30:60, 30:60] = np.arange(30) * 5 + 50
    patients.slice(0, "square.png", patient="square", grey=square)
    patients.write("ictcf", suffix)
    (patients.folder / "ictcf.patients.csv").write_text("patient,label\n")
    said = run("ictcf")
    assert said[0] == "test: 0 slices without labels, 4 images of ictcf"
    assert said[1].endswith("1 images without lungs left out")


def test_an_unknown_name_lists_what_there_is(patients, run):
    patients.write("ictcf")
    patients.write("mosmed", ".parquet")
    (patients.folder / "ictcf.left-out.csv").write_text("problem,path,found\n")
    with pytest.raises(InputError) as caught:
        run("ictfc")
    assert caught.value.code == "config-invalid"
    expected = "covid-semiseg, covid-semiseg-unlabelled, or a manifest in LUNGSCORE_DATA/manifests "
    assert caught.value.expected == expected + "(ictcf, mosmed)"
    assert caught.value.hint == "Did you mean ictcf?"


def test_a_name_without_any_manifest_says_that_there_is_none(patients, run):
    with pytest.raises(InputError, match=r"there is none"):
        run("ictcf")


def test_a_name_that_is_there_twice_is_refused(patients, run):
    patients.write("ictcf")
    patients.write("ictcf", ".parquet")
    with pytest.raises(InputError, match="as Parquet and as CSV"):
        run("ictcf")


@pytest.mark.parametrize("name", ["../elsewhere", "a/b", "", ".hidden", "a.csv"])
def test_a_name_is_no_path(name):
    with pytest.raises(ValueError, match="unlabelled"):
        pretraining((name,))
