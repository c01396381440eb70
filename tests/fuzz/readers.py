"""What an input is given to. A reader returns, or raises the product's own error: nothing else."""

import shutil
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lungscore.errors import LungscoreError

FILES = "input"


def scan(folder: Path) -> None:
    """A file as a scan."""
    from lungscore.scan.read import read_scan

    read_scan(folder / FILES)


def scan_or_mask(folder: Path) -> None:
    """A file as a mask, then as a scan."""
    from lungscore.scan.masks import read_label_volume

    with suppress(LungscoreError):
        read_label_volume(folder / FILES, "lobes")
    scan(folder)


def scan_of_folder(folder: Path) -> None:
    """All files as one scan."""
    from lungscore.scan.read import read_scan

    read_scan(folder, allow_gaps=True)


class Compressed:
    """One slice, decoded in the process that is kept for it, as long as that lives."""

    def __init__(self) -> None:
        self._worker = None

    def __call__(self, folder: Path) -> None:
        """Decode; a decoder that dies is a rejection, and the next input gets a new one."""
        from lungscore.scan.dicom.decode import _Worker
        from lungscore.scan.dicom.header import read_header

        header = read_header(folder / FILES)
        if header is None or not 0 < header.rows * header.columns < 2**24:
            return
        if self._worker is None:
            self._worker = _Worker().__enter__()
        try:
            self._worker.decode(header)
        except LungscoreError:
            if self._worker._process.poll() is not None:
                self._worker.__exit__()
                self._worker = None
            raise


def manifest(folder: Path, suffix: str) -> None:
    """The rows and the cases of a manifest."""
    from lungscore.batch.manifest_cases import manifest_cases
    from lungscore.datasets.manifest import read_rows

    path = folder / f"manifest{suffix}"
    (folder / FILES).rename(path)
    with suppress(LungscoreError):
        list(manifest_cases(path))
    list(read_rows(path))


def result(folder: Path) -> None:
    """A stored result, as every command that reads one does."""
    from lungscore.agreement.ratings import read_ratings
    from lungscore.batch.table import write_cohort
    from lungscore.followup.case import read_result
    from lungscore.patients.cohort import read_measured

    case, out = folder / "case", folder / "out"
    case.mkdir()
    (folder / FILES).rename(case / "result.json")
    for read in (read_result, read_ratings, read_measured):
        with suppress(LungscoreError):
            read(case)
    if zlib.crc32((case / "result.json").read_bytes()) % 32 == 0:  # the page of a cohort takes long
        shutil.copytree(case, out / "case")
        write_cohort(out, ["case"], {})
    read_result(case)


def table(folder: Path) -> None:
    """Ratings and covariates."""
    from lungscore.agreement.ratings import read_ratings
    from lungscore.patients.covariates import read_covariates

    path = folder / "table.csv"
    (folder / FILES).rename(path)
    with suppress(LungscoreError):
        read_covariates(path, ["age", "sex", "crp"])
    read_ratings(path)


def experiment(folder: Path) -> None:
    """An experiment file."""
    from lungscore.learning.experiment_file import load_experiment

    load_experiment(folder / FILES)


def card(folder: Path) -> None:
    """The card of a bundle, then the bundle in its engine."""
    from lungscore.inference.bundle import load_bundle
    from lungscore.inference.engines import make_engine

    (folder / FILES).rename(folder / "card.json")
    make_engine(load_bundle(folder), name="onnxruntime", threads=1)


def graph(folder: Path) -> None:
    """The graph of a bundle, its checksum right, in its engine, and one slice through it."""
    import numpy as np
    from document_seeds import card_files

    from lungscore.inference.bundle import load_bundle
    from lungscore.inference.engines import make_engine

    for name, content in card_files((folder / FILES).read_bytes()).items():
        (folder / ("card.json" if name == FILES else name)).write_bytes(content)
    (folder / FILES).unlink()
    run, _ = make_engine(load_bundle(folder), name="onnxruntime", threads=1)
    list(run([(np.zeros((32, 32), np.float32),)]))


def safetensors(folder: Path) -> None:
    """Weights, a checkpoint and ImageNet weights."""
    from torch import nn, optim

    from lungscore.learning.checkpoints import load_checkpoint, load_weights, read_facts
    from lungscore.learning.imagenet import load_imagenet_weights

    path = folder / "x.safetensors"
    (folder / FILES).rename(path)
    network = nn.Linear(3, 2)
    for read in (
        lambda: read_facts(path),
        lambda: load_imagenet_weights(network, path),
        lambda: load_checkpoint(path, {"a": network}, {"a": optim.AdamW(network.parameters())}),
    ):
        with suppress(LungscoreError):
            read()
    load_weights(network, path)


def patient_model(folder: Path) -> None:
    """A detector or a clinical model, ready to be applied."""
    from lungscore.patients.stored import ClinicalModel, Detector, read_model

    path = folder / FILES
    with suppress(LungscoreError):
        read_model(path, ClinicalModel)[0].model  # noqa: B018
    read_model(path, Detector)[0].model  # noqa: B018


#: reader -> what it does with the folder of an input.
READERS: dict[str, Callable[[Path], None]] = {
    "dicom": scan,
    "series": scan_of_folder,
    "compressed": Compressed(),
    "nifti": scan_or_mask,
    "nrrd": scan_or_mask,
    "metaimage": scan_or_mask,
    "picture": scan,
    "zip": scan,
    "manifest-csv": lambda folder: manifest(folder, ".csv"),
    "manifest-parquet": lambda folder: manifest(folder, ".parquet"),
    "result": result,
    "table": table,
    "experiment": experiment,
    "card": card,
    "graph": graph,
    "safetensors": safetensors,
    "patient-model": patient_model,
}
