"""From a trained network to a bundle: the graph without weights, the weights stored once."""

import copy
import json
import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from safetensors.torch import save
from torch import nn

from lungscore.files import atomic_path, atomic_write
from lungscore.inference.bundle import CHANNELS, GRAPH, INPUTS, WEIGHTS, Target
from lungscore.networks import with_probabilities

#: The graph knows parameters below this name, the weights file without it.
_PREFIX = "network."


def export_bundle(
    network: nn.Module,
    folder: Path,
    *,
    height: int,
    width: int,
    target: Target = "infection",
    temperature: float = 1.0,
) -> None:
    """Write model.onnx and weights.safetensors for slices of (height, width) into ``folder``.

    network: one that networks.make_network makes, for ``target``; the graph takes bundle.INPUTS of
    it. temperature: divides the logits of infection in the graph; the weights know nothing of it.

    Convolution weights are stored in fp16 and cast to float32 when the graph is loaded; batch-norm
    values, which span many magnitudes, stay float32.
    """
    network = copy.deepcopy(network).eval().cpu()
    tensors = {
        name: (value.half() if value.ndim > 1 else value).contiguous()
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    atomic_write(folder / WEIGHTS, save(tensors))
    rounded = {name: value.float() for name, value in tensors.items()}
    network.load_state_dict(rounded, strict=False)
    inputs = INPUTS[target]
    with _quiet():
        program = torch.onnx.export(
            with_probabilities(network, target, temperature=temperature),
            tuple(torch.zeros(1, CHANNELS[target], height, width) for _ in inputs),
            input_names=inputs,
            output_names=[target],
            dynamo=True,
            optimize=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the exporter of torch returned no program")
    graph = program.model_proto
    _point_to_weights(graph, folder / WEIGHTS)
    _forget_where_it_was_made(graph)
    with atomic_path(folder / GRAPH) as temporary:
        temporary.write_bytes(graph.SerializeToString())
        onnx.checker.check_model(temporary)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch warns of: libraries that no network here needs, and its own old code."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _point_to_weights(model: onnx.ModelProto, weights: Path) -> None:
    """Replace every parameter in the graph by a reference into the safetensors file."""
    positions = _positions(weights)
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        position = positions.get(tensor.name.removeprefix(_PREFIX))
        if position is None:
            continue
        kind, offset, length = position
        if kind == "F16":
            stored = f"{tensor.name}.fp16"
            casts.append(helper.make_node("Cast", [stored], [tensor.name], to=TensorProto.FLOAT))
            tensor.name, tensor.data_type = stored, TensorProto.FLOAT16
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", weights.name), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(casts + nodes)


def _forget_where_it_was_made(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes on every node: source lines and paths of the exporting machine."""
    for element in (model, model.graph, *model.functions):
        element.ClearField("doc_string")
        element.ClearField("metadata_props")
    for node in [*model.graph.node, *(node for f in model.functions for node in f.node)]:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        value.ClearField("metadata_props")


def _positions(weights: Path) -> dict[str, tuple[str, int, int]]:
    """name -> (type, offset, length) of every tensor in a safetensors file.

    The format: 8 bytes of header length, a JSON header with offsets, then the bytes.
    """
    with open(weights, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    return {
        name: (
            entry["dtype"],
            8 + size + entry["data_offsets"][0],
            int(np.diff(entry["data_offsets"])[0]),
        )
        for name, entry in header.items()
        if name != "__metadata__"
    }
