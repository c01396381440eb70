"""Where networks run: on the processor, or on a graphics card that CUDA drives."""

import ctypes
import importlib
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager

from lungscore.errors import ResourceError, UsageError
from lungscore.machine import check_device

#: The processor, and what the names of graphics cards begin with ("cuda:0").
CPU, CUDA = "cpu", "cuda"

#: The engine that runs on graphics cards.
CUDA_ENGINE = "torch"

#: The code of the error of a card whose memory does not suffice, and of the notice that the
#: processor did the work instead.
FULL, REPLACED = "device-memory", "device-replaced"


def usable_device(asked: str, engine: str) -> str:
    """The device that ``asked`` means here: "cpu", or "cuda:" and the number of a card.

    asked: one of machine.DEVICES; "auto" is the first graphics card if it works, else the
    processor. engine: the one asked for, "auto" too; all but torch run on the processor. Raises
    usage, device-unsupported or device-missing.
    """
    check_device(asked)
    if asked == CPU:
        return CPU
    if engine not in ("auto", CUDA_ENGINE):
        if asked == "auto":
            return CPU
        raise UsageError(
            "device-unsupported",
            f"{engine} does not run on {asked}",
            expected=f"the device {CPU}, or the engine {CUDA_ENGINE}",
        )
    libraries = all(map(importlib.util.find_spec, (CUDA_ENGINE, "safetensors")))
    if asked == "auto" and not (libraries and _has_driver()):
        return CPU
    device = f"{CUDA}:{asked.partition(':')[2] or 0}"
    if not importlib.util.find_spec(CUDA_ENGINE):
        return device  # the engine says better what is missing
    fault = _fault_of(device)
    if fault is None:
        return device
    if asked == "auto":
        return CPU
    raise ResourceError(
        "device-missing",
        f"The device {asked} cannot be used: {fault}",
        expected="a graphics card, its driver, and a torch that is built for CUDA",
        hint="lungscore info lists the devices; --device auto uses the processor where there "
        "is no card",
    )


def cuda_devices() -> list[str]:
    """The names of this computer's graphics cards, by their numbers; empty without torch."""
    if not (importlib.util.find_spec(CUDA_ENGINE) and _has_driver()):
        return []
    cuda = importlib.import_module(CUDA_ENGINE).cuda
    count = cuda.device_count() if cuda.is_available() else 0
    return [cuda.get_device_name(number) for number in range(count)]


def _has_driver() -> bool:
    """Whether NVIDIA's driver is installed: without it nobody waits for torch to load."""
    try:
        ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _fault_of(device: str) -> str | None:
    """Why ``device`` cannot be used; None where it works."""
    torch = importlib.import_module(CUDA_ENGINE)
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no graphics card"
    count, number = torch.cuda.device_count(), int(device.partition(":")[2])
    if number >= count:
        return f"{count} found, numbered from 0"
    try:
        # A card may be there and too old for this torch, or reserved by somebody.
        (torch.ones(1, device=device) + 1).item()
    except RuntimeError as error:
        return str(error).partition("\n")[0]
    return None


@contextmanager
def memory_of(device: str) -> Iterator[None]:
    """What torch says of too little memory on a card becomes the ResourceError FULL."""
    try:
        yield
    except RuntimeError as error:
        torch = importlib.import_module(CUDA_ENGINE)
        # cuDNN and cuBLAS have words of their own for it.
        short = isinstance(error, torch.cuda.OutOfMemoryError) or "ALLOC_FAILED" in str(error)
        if not short:
            raise
        raise ResourceError(
            FULL,
            f"The memory of {device} does not suffice",
            hint=f"Free some, or use --device {CPU}",
        ) from None
