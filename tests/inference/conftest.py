"""One small bundle with random weights, exported once for all tests and all workers."""

import os
import time

import pytest
from random_bundle import make_random_bundle

from lungscore.inference import Segmenter, load_bundle
from lungscore.inference.bundle import CARD


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """A verified bundle of a random Inf-Net for slices of 64 x 96."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    base = tmp_path_factory.getbasetemp()
    # Exporting takes seconds: workers of one run share what the first of them makes.
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, lock = base / "random-bundle", base / "random-bundle-lock"
    while not (folder / CARD).is_file():
        try:
            lock.mkdir()
        except FileExistsError:
            time.sleep(0.1)
            continue
        try:
            make_random_bundle(folder)
        finally:
            lock.rmdir()
    return load_bundle(folder)


@pytest.fixture(scope="session")
def segmenter(bundle):
    """The random bundle in the default engine."""
    return Segmenter(bundle, threads=2)
