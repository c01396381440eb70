"""Training state in safetensors: every tensor by name, every number in the header. No pickle."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from lungscore.errors import InputError
from lungscore.files import atomic_path, atomic_write


def save_weights(network: nn.Module, path: Path, **facts: Any) -> None:
    """The network's parameters and buffers as stored, with ``facts`` in the header."""
    tensors = {k: v.detach().contiguous().clone() for k, v in network.state_dict().items()}
    atomic_write(path, save(tensors, {"facts": json.dumps(facts, sort_keys=True)}))


def load_weights(network: nn.Module, path: Path) -> dict[str, Any]:
    """Load what save_weights wrote and return its facts. Raises checkpoint-mismatch."""
    tensors, facts = _read(path)
    check_tensors(network.state_dict(), tensors, path.name)
    network.load_state_dict(
        {
            name: tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in tensors.items()
        }
    )
    return facts


def check_tensors(expected: dict[str, Tensor], tensors: dict[str, Tensor], name: str) -> None:
    """Raise checkpoint-mismatch naming the first tensor that is missing, unknown or misshapen."""
    missing, unknown = (
        sorted(expected.keys() - tensors.keys()),
        sorted(tensors.keys() - expected.keys()),
    )
    wrong = [
        key for key in expected.keys() & tensors.keys() if expected[key].shape != tensors[key].shape
    ]
    if missing or unknown or wrong:
        raise InputError(
            "checkpoint-mismatch",
            f"{name} does not fit the network: {len(missing)} tensors missing {missing[:2]}, "
            f"{len(unknown)} unknown {unknown[:2]}, {len(wrong)} of another shape {wrong[:2]}",
            expected="weights of the same network and encoder",
        )
    broken = [key for key, value in tensors.items() if not torch.isfinite(value.float()).all()]
    if broken:
        raise InputError(
            "checkpoint-mismatch", f"{name}: {broken[0]} contains values that are not numbers"
        )


def save_checkpoint(
    path: Path, networks: dict[str, nn.Module], optimizers: dict[str, Optimizer], **facts: Any
) -> None:
    """Everything that training needs to go on. Randomness needs no state: it is drawn per epoch
    from (seed, epoch). An optimiser may share a network's name."""
    tensors = {}
    for name, network in networks.items():
        for key, value in network.state_dict().items():
            tensors[f"{name}/network/{key}"] = value.detach().cpu().contiguous().clone()
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensor = torch.as_tensor(value).cpu().contiguous().clone()
                tensors[f"{name}/optimizer/{index}/{key}"] = tensor
    # Keys as given: the history's are the columns of the log.
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {"facts": json.dumps(facts)})


def load_checkpoint(
    path: Path, networks: dict[str, nn.Module], optimizers: dict[str, Optimizer]
) -> dict[str, Any]:
    """Restore what save_checkpoint wrote; returns its facts. Raises checkpoint-mismatch."""
    tensors, facts = _read(path)
    expected = {
        f"{name}/network/{key}": value
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }
    check_tensors(expected, {k: v for k, v in tensors.items() if "/network/" in k}, path.name)
    for name, network in networks.items():
        network.load_state_dict(_below(f"{name}/network/", tensors))
    for name, optimizer in optimizers.items():
        parameters = [
            parameter for group in optimizer.param_groups for parameter in group["params"]
        ]
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _below(f"{name}/optimizer/", tensors).items():
            index, _, moment = key.partition("/")
            if not (index.isascii() and index.isdigit() and int(index) < len(parameters)):
                raise InputError(
                    "checkpoint-mismatch", f"{path.name} contains the state of another optimiser"
                )
            state.setdefault(int(index), {})[moment] = _laid_out_as(parameters[int(index)], value)
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    return facts


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """``value`` with the strides of ``parameter``: fused optimisers pair the two in memory order,
    and a network in channels_last would be given the moments of other weights."""
    if value.shape != parameter.shape:  # the number of steps
        return value
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def read_facts(path: Path) -> dict[str, Any]:
    """The facts in the header of a weights file or checkpoint. Raises checkpoint-mismatch."""
    return _read(path)[1]


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get("facts", "{}"))
        if not isinstance(facts, dict):
            raise ValueError("the facts are not a table")
        return load_file(path), facts
    except MemoryError:
        raise
    except Exception as error:  # types and sizes that torch refuses, facts that are not JSON
        raise InputError(
            "checkpoint-mismatch",
            f"{path.name} is not a readable safetensors file",
            hint="Delete it to start again, or give another file",
        ) from error
