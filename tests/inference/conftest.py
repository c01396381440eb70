"""One small bundle with random weights, exported once."""

import pytest
from random_bundle import make_random_bundle

from lungscore.inference import Segmenter, load_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """A verified bundle of a random Inf-Net for slices of 64 x 96."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    folder = tmp_path_factory.mktemp("models") / "random"
    make_random_bundle(folder)
    return load_bundle(folder)


@pytest.fixture(scope="session")
def segmenter(bundle):
    """The random bundle in the default engine."""
    return Segmenter(bundle, threads=2)
