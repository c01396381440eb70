"""A small phantom, and small bundles of random weights, exported once for all tests and workers."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lungscore.anatomy import Lungs
from lungscore.inference import Bundle, Segmenter, load_bundle
from lungscore.inference.bundle import CARD
from lungscore.scan.phantom import make_phantom
from tests.inference.random_bundle import make_random_bundle, make_random_lesions_bundle


def shared(tmp_path_factory: pytest.TempPathFactory, make: Callable[[Path], None]) -> Bundle:
    """What ``make`` writes, verified.

    Exporting takes seconds: workers of one run share what the first of them makes.
    """
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, lock = base / make.__name__, base / f"{make.__name__}-lock"
    while not (folder / CARD).is_file():
        try:
            lock.mkdir()
        except FileExistsError:
            time.sleep(0.1)
            continue
        try:
            make(folder)
        finally:
            lock.rmdir()
    return load_bundle(folder)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """A verified bundle of a random Inf-Net for slices of 64 x 96."""
    return shared(tmp_path_factory, make_random_bundle)


@pytest.fixture(scope="session")
def lesions_bundle(tmp_path_factory):
    """One of a random network for GGO and consolidation, for slices of 48 x 64."""
    return shared(tmp_path_factory, make_random_lesions_bundle)


@pytest.fixture(scope="session")
def segmenter(bundle):
    """The random bundle in the default engine."""
    return Segmenter(bundle, threads=2)


@pytest.fixture(scope="module")
def phantom():
    return make_phantom("moderate", shape=(12, 96, 96))


@pytest.fixture(scope="module")
def lungs(phantom):
    return Lungs(phantom.lungs, sides_known=True)
