"""Fixtures that every test may use."""

import hashlib
import json
import os
from collections.abc import Callable
from functools import cache
from getpass import getuser
from pathlib import Path
from tempfile import gettempdir

import pytest
from hypothesis import HealthCheck, settings

from lungscore.inference import Segmenter, load_bundle
from lungscore.result import Analysis
from lungscore.scan.phantom import Phantom, make_phantom
from lungscore.scan.write import write_nifti
from tests.small_case import analysis_of_boxes

#: A chest in 16 slices: coarse, quick to analyse, and exact in every header.
SMALL, SMALL_MM = (16, 96, 96), (17.5, 3.75, 3.75)

# Compiled networks are kept from test to test, and not in the folder of who runs them.
os.environ.setdefault("LUNGSCORE_CACHE", str(Path(gettempdir()) / f"lungscore-tests-{getuser()}"))

# No test fails because the computer is busy.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


#: The marker of all tests in a folder: those of `make ci`, not of `make test`.
FOLDERS = {
    "datasets": "training",
    "evaluation": "training",
    "learning": "training",
    "networks": "training",
    "pacs": "hospital",
    "node": "hospital",
    "deidentification": "hospital",
    "review": "hospital",
    "batch": "studies",
    "followup": "studies",
    "agreement": "studies",
    "patients": "studies",
    "benchmark": "studies",
    "speed": "studies",
    "experiments": "studies",
}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Folders that the chosen marks leave out whole are not even imported."""
    inside = collection_path.relative_to(Path(__file__).parent).parts
    marker = FOLDERS.get(inside[0]) if inside else None
    return True if marker and f"not {marker}" in config.option.markexpr else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of whole folders, before the marks decide what runs."""
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in FOLDERS:
            item.add_marker(FOLDERS[folder])


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real scans, or a skip that says what is missing."""
    folder = os.environ.get("LUNGSCORE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("real scans are not here: set LUNGSCORE_DATA to their folder")
    return Path(folder)


@pytest.fixture(scope="session")
def small_phantom() -> Callable[[str], Phantom]:
    """The small phantom of a preset, made once."""
    return cache(lambda preset: make_phantom(preset, shape=SMALL, spacing_mm=SMALL_MM))


@pytest.fixture
def make_analysis() -> Callable[..., Analysis]:
    """Build an Analysis of two box-shaped lungs with some infection in the left one."""
    return analysis_of_boxes


@pytest.fixture(scope="session")
def phantom_file(
    tmp_path_factory: pytest.TempPathFactory, small_phantom: Callable[[str], Phantom]
) -> Path:
    """The small phantom with moderate disease as ``chest.nii.gz``."""
    path = tmp_path_factory.mktemp("phantom") / "chest.nii.gz"
    write_nifti(small_phantom("moderate").scan, path)
    return path


@pytest.fixture(scope="session")
def stand_in_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that takes for infected what is denser than -700 HU: quick, and easy to foresee."""
    import onnx
    from onnx import TensorProto, helper

    shape, window = (1, 1, 96, 128), (-1350.0, 150.0)
    grey = (-700.0 - window[0]) / (window[1] - window[0])
    numbers = {"threshold": grey, "steepness": 60.0}
    graph = helper.make_graph(
        [
            helper.make_node("Sub", ["grey", "threshold"], ["above"]),
            helper.make_node("Mul", ["above", "steepness"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], ["infection"]),
        ],
        "stand-in",
        [helper.make_tensor_value_info("grey", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("infection", TensorProto.FLOAT, shape)],
        [helper.make_tensor(name, TensorProto.FLOAT, [], [n]) for name, n in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    folder = tmp_path_factory.mktemp("models") / "stand-in"
    folder.mkdir()
    files = {"model.onnx": model.SerializeToString(), "weights.safetensors": b"none"}
    onnx.checker.check_model(model)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    card = {
        "name": "stand-in",
        "version": "0",
        "task": "none",
        "network": "none",
        "encoder": "none",
        "description": "a threshold",
        "data": [],
        "data_terms": "none",
        "limits": [],
        "input": {
            "height": shape[2],
            "width": shape[3],
            "window_hu": window,
            "orientation": "as shown",
            "grey_split": 0.76,
        },
        "experiment": {},
        "metrics": [],
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="session")
def segmenter(stand_in_model: Path) -> Segmenter:
    """The stand-in model, loaded."""
    return Segmenter(load_bundle(stand_in_model), threads=1)
