"""Bundles and experiment files that are none: a code, never numbers."""

import hashlib
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from lungscore.errors import InputError, ResourceError
from lungscore.inference.bundle import load_bundle
from lungscore.inference.engines import make_engine


def bundle(folder: Path, graph: bytes | None, **card_input: object) -> Path:
    if graph is not None:
        (folder / "model.onnx").write_bytes(graph)
    card = json.loads((folder / "card.json").read_text())
    card["input"] |= card_input
    card["sha256"]["model.onnx"] = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.fixture
def folder(tmp_path: Path, stand_in_model: Path) -> Path:
    return Path(shutil.copytree(stand_in_model, tmp_path / "own"))


def graph_of(factor: float, shape: tuple[int, ...] = (1, 1, 96, 128)) -> bytes:
    import onnx
    from onnx import TensorProto, helper

    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name in ("grey", "infection")
    ]
    k = helper.make_tensor("k", TensorProto.FLOAT, [], [factor])
    node = helper.make_node("Mul", ["grey", "k"], ["infection"])
    graph = helper.make_graph([node], "g", values[:1], values[1:], [k])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    assert isinstance(onnx.checker, object)
    return model.SerializeToString()


@pytest.mark.parametrize(
    "card_input",
    [
        {"window_hu": [float("nan"), 150]},
        {"window_hu": [150, -1350]},
        {"window_hu": [150, 150]},
        {"window_hu": [-1e400, 150]},
        {"height": 0},
        {"width": -3},
        {"height": 10**9},
        {"grey_split": float("nan")},
        {"grey_split": 7},
    ],
    ids=str,
)
def test_a_card_that_no_network_has(folder: Path, card_input: dict[str, object]) -> None:
    with pytest.raises(ResourceError) as caught:
        load_bundle(bundle(folder, None, **card_input))
    assert caught.value.code == "model-damaged"


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, "", "null", '"\ud800"'])
def test_a_card_that_is_none(folder: Path, content: str) -> None:
    (folder / "card.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ResourceError) as caught:
        load_bundle(folder)
    assert caught.value.code == "model-damaged"


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize(
    "graph",
    [
        b"x" * 500,
        b"",
        graph_of(float("nan")),
        graph_of(float("inf")),
        graph_of(-3.0),
        graph_of(1.0, (1, 1, 48, 128)),
        graph_of(1.0, (1, 3, 96, 128)),
    ],
    ids=["garbage", "empty", "nan", "inf", "negative", "other size", "other channels"],
)
def test_a_graph_that_gives_no_probabilities(folder: Path, graph: bytes, engine: str) -> None:
    def run_it() -> None:
        run, _ = make_engine(load_bundle(bundle(folder, graph)), name=engine, threads=1)
        list(run([(np.full((96, 128), 0.5, np.float32),)]))

    with pytest.raises(ResourceError) as caught:
        run_it()
    assert caught.value.code == "model-damaged"
    assert caught.value.exit_code == 4


def test_probabilities_pass_unchanged(folder: Path) -> None:
    run, _ = make_engine(load_bundle(bundle(folder, graph_of(1.0))), name="onnxruntime", threads=1)
    grey = np.linspace(0, 1, 96 * 128, dtype=np.float32).reshape(96, 128)
    first, none, last = run([(grey,), None, (grey[::-1].copy(),)])
    assert none is None
    np.testing.assert_array_equal(first[0], grey)
    np.testing.assert_array_equal(last[0], grey[::-1])


YAML = {
    "a date that is none": "name: 2026-13-45",
    "a time that is none": "name: 2026-01-01 99:99:99",
    "a tag of numbers": "name: !!int abc",
    "a tag of truth": "name: !!bool x",
    "a tag of times": "name: !!timestamp x",
    "a tag of Python": "name: !!python/object/apply:os.system [x]",
    "a letter that is none": 'a: "\\UFFFFFFFF"',
    "brackets without end": "[" * 50_000,
    "keys in keys": "? " * 5_000,
    "a list as a key": "[1]: 2",
    "a table as a key": "? {a: 1}\n: 2",
    "equal keys": "name: a\nname: b",
    "20 000 keys": "\n".join(f"k{n}: 1" for n in range(20_000)),
    "9 000 keys": "\n".join(f"k{n}: 1" for n in range(9_000)),
    "a number that is too large": "training: {seed: 1" + "0" * 5000 + "}",
    "aliases of aliases": "a: &a [x]\n"
    + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
        for old, new in zip("abcdefg", "bcdefgh", strict=True)
    ),
    "an alias of itself": "a: &a [*a]",
    "bytes that are no text": "\udcff",
}


@pytest.mark.parametrize("text", YAML.values(), ids=YAML)
def test_an_experiment_file_that_is_none(tmp_path: Path, text: str) -> None:
    pytest.importorskip("torch")
    from lungscore.learning.experiment_file import load_experiment

    path = tmp_path / "e.yaml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    began = time.process_time()
    with pytest.raises(InputError) as caught:
        load_experiment(path)
    assert caught.value.code == "config-invalid"
    assert time.process_time() - began < 30  # minutes, where keys are compared pair by pair
