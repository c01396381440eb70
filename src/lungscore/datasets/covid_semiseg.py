"""COVID-SemiSeg: the slices that Inf-Net was trained and tested on.

Fan et al., IEEE TMI 2020; research, non-commercial. Lung-box crops of axial slices, 8-bit,
windowed, stored transposed (the patient's left-right axis runs down the image): they are turned
back here. Ground truth is ground-glass opacity or consolidation; pleural effusion is background.
Layout seen in the original download (the folders TrainingSet and TestingSet).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lungscore.datasets.dataset import Dataset
from lungscore.datasets.images import files_by_stem, pair, read_grey, read_indices, read_mask
from lungscore.datasets.records import Companion, Entry, Group
from lungscore.datasets.sample import Sample
from lungscore.datasets.visit import Visit, partner, stem
from lungscore.errors import InputError

NAME = "covid-semiseg"

#: The test slice that is nearly a copy of a training slice. What a network was trained on does not
#: measure it, so figures are also given without this slice.
NEAR_COPY = "91"

_FOLDERS = {
    "train": (
        "TrainingSet/LungInfection-Train/Doctor-label",
        "TrainingSet/MultiClassInfection-Train",
    ),
    "test": ("TestingSet/LungInfection-Test", "TestingSet/MultiClassInfection-Test"),
}


def load(root: Path, group: str) -> list[Sample]:
    """The annotated slices of ``group`` ("train" or "test"), sorted by name.

    Raises InputError dataset-incomplete, label-invalid or input-unreadable, naming the file.
    """
    binary, classes = (root / folder for folder in _FOLDERS[group])
    class_files = files_by_stem(classes / "GT")
    samples = []
    for name, image_file, mask_file in pair(binary / "Imgs", binary / "GT"):
        image, infection = read_grey(image_file).T, read_mask(mask_file).T
        if name not in class_files:
            raise InputError("dataset-incomplete", f"{name} has no class labels")
        lesions = read_indices(class_files[name], allowed=(0, 1, 2)).T
        if image.shape != infection.shape or image.shape != lesions.shape:
            raise InputError("label-invalid", f"{name}: image and labels differ in size")
        samples.append(
            Sample(
                np.ascontiguousarray(image),
                np.ascontiguousarray(infection),
                name,
                NAME,
                lesions=np.ascontiguousarray(lesions),
            )
        )
    return samples


def image_files(root: Path, group: str) -> dict[str, Path]:
    """name -> picture of the annotated slices of ``group``, as it is stored (transposed)."""
    return files_by_stem(root / _FOLDERS[group][0] / "Imgs")


def names(root: Path) -> list[str]:
    """The names of the 50 annotated training slices."""
    return list(image_files(root, "train"))


#: 1600 slices of 20 volumes (COVID-19-CT-Seg), with the soft maps that Semi-Inf-Net gave them.
_UNLABELLED = "TrainingSet/LungInfection-Train/Pseudo-label"


def unlabelled_names(root: Path) -> list[str]:
    """The names of the slices without radiologists' labels, sorted."""
    return list(files_by_stem(root / _UNLABELLED / "Imgs"))


def load_unlabelled(root: Path, names: Sequence[str] | None = None) -> list[Sample]:
    """The slices without radiologists' labels, their infection empty; names give the volume.

    names: only these, in this order. Raises dataset-incomplete.
    """
    files = files_by_stem(root / _UNLABELLED / "Imgs")
    samples = []
    for name in files if names is None else names:
        if name not in files:
            raise InputError("dataset-incomplete", f"The unlabelled slice {name} is missing")
        image = np.ascontiguousarray(read_grey(files[name]).T)
        nothing, source = np.zeros(image.shape, bool), f"{NAME}-unlabelled"
        samples.append(Sample(image, nothing, name, source, patient=_volume(name)))
    return samples


def load_pseudo(root: Path) -> list[Sample]:
    """The same slices with Semi-Inf-Net's released maps, soft as they are.

    Those maps were made by a network that was trained on all 50 annotated slices.
    """
    samples = []
    for name, image_file, map_file in pair(root / _UNLABELLED / "Imgs", root / _UNLABELLED / "GT"):
        image, soft = (np.ascontiguousarray(read_grey(file).T) for file in (image_file, map_file))
        if image.shape != soft.shape:
            raise InputError("label-invalid", f"{name}: image and labels differ in size")
        source = f"{NAME}-pseudo"
        samples.append(Sample(image, soft >= 128, name, source, patient=_volume(name), soft=soft))
    return samples


def _volume(name: str) -> str:
    """The volume that an unlabelled slice comes from: its name without the slice's number."""
    return name.rpartition("_")[0]


#: What goes with an annotated slice: folder -> values that its pictures may hold, any if none.
_BESIDE: dict[str, dict[str, tuple[int, ...]]] = {
    "train": {
        "TrainingSet/LungInfection-Train/Doctor-label/Edge": (0, 255),
        "TrainingSet/MultiClassInfection-Train/Imgs": (),
        "TrainingSet/MultiClassInfection-Train/GT": (0, 1, 2),
        "TrainingSet/MultiClassInfection-Train/Prior": (),
    },
    "test": {
        "TestingSet/MultiClassInfection-Test/Imgs": (),
        "TestingSet/MultiClassInfection-Test/GT": (0, 1, 2),
        "TestingSet/MultiClassInfection-Test/GT-1": (0, 1),
        "TestingSet/MultiClassInfection-Test/GT-2": (0, 1),
    },
}


def _walk(visit: Visit) -> Iterator[Entry]:
    yield from _annotated(visit, "train", published=50)
    images, maps = (visit.files(f"{_UNLABELLED}/{folder}") for folder in ("Imgs", "GT"))
    visit.count("slices without radiologists' labels", len(images), 1600)
    for image, soft in visit.pairs(images, maps):
        volume = _volume(stem(image))
        path, mask = visit.relative(image), visit.relative(soft)
        yield Entry(path, volume, "slice", patient=volume, group="train", mask=mask)
    yield from _annotated(visit, "test", published=48)


def _annotated(visit: Visit, group: Group, *, published: int) -> Iterator[Entry]:
    folder = _FOLDERS[group][0]
    images = visit.files(f"{folder}/Imgs")
    visit.count("training slices" if group == "train" else "test slices", len(images), published)
    masks = visit.files(f"{folder}/GT")
    beside = {subfolder: visit.files(subfolder) for subfolder in _BESIDE[group]}
    by_name = {
        subfolder: {stem(path): path for path in paths} for subfolder, paths in beside.items()
    }
    for mask in masks:  # what lies beside a slice without image is told with the image
        visit.use(*(paths.get(stem(mask)) for paths in by_name.values()))
    # What goes with a slice whose image or mask is missing is told by that, and by no more.
    alone = {stem(path) for path in images} ^ {stem(path) for path in masks}
    for paths in by_name.values():
        visit.use(*(paths[name] for name in alone & paths.keys()))
    for image, mask in visit.pairs(images, masks):
        name, companions = stem(image), []
        for subfolder, values in _BESIDE[group].items():
            if name in by_name[subfolder]:
                companions.append(Companion(visit.relative(by_name[subfolder][name]), values))
            elif visit.root.joinpath(subfolder).is_dir():
                siblings = beside[subfolder]
                missing = partner(image, siblings) if siblings else f"{subfolder}/{name}"
                visit.problem("file-missing", missing, f"the slice {name} lacks it")
        yield Entry(
            visit.relative(image),
            f"{group}-{name}",
            "slice",
            group=group,
            mask=visit.relative(mask),
            mask_values=(0, 255),
            companions=tuple(companions),
        )


DATASET = Dataset(
    name=NAME,
    title="COVID-SemiSeg (Inf-Net's dataset)",
    what="lung-box crops of axial CT slices, 8-bit, stored transposed: 50 training and 48 test "
    "slices with infection, GGO and consolidation; 1600 slices with soft pseudo-labels",
    size="1698 slices of more than 40 patients and 20 volumes",
    licence="research, non-commercial",
    citation="Fan D-P, Zhou T, Ji G-P, et al. Inf-Net: automatic COVID-19 lung infection "
    "segmentation from CT images. IEEE Trans Med Imaging 2020;39(8):2626-2637. "
    "doi:10.1109/TMI.2020.2996645",
    where="https://github.com/DengPingFan/Inf-Net",
    seen="the original download",
    unverified="TrainingSet/LungInfection-Train/Pseudo-label/Edge and DataPrepare of the original "
    "are not checked",
    walk=_walk,
    overlaps=("medseg", "covid-19-ct-seg"),
)
