"""ImageNet's encoders in a quarter of their size: where training begins, a byte a weight is enough.

Convolutions are kept as whole numbers of -127…127 and one scale for each output channel; all else
stays float32. They are unpacked into the files that ``learning.imagenet`` reads.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

_SCALE = "//scale"


def write_encoders(path: Path, sources: Iterable[Path]) -> None:
    """Pack encoders, each a .safetensors file or a folder of .npy files, by their file names."""
    packed: dict[str, np.ndarray] = {}
    for source in sources:
        if source.is_dir():
            tensors = {
                file.stem: np.load(file, allow_pickle=False) for file in source.glob("*.npy")
            }
            name = f"{source.name}/"
        else:
            tensors, name = load_file(source), source.name
        for key, values in tensors.items():
            if key.endswith("num_batches_tracked") or key.startswith("fc."):
                continue
            values = np.ascontiguousarray(values, np.float32)
            if values.ndim == 4:
                scale = np.abs(values).max(axis=(1, 2, 3), keepdims=True) / 127
                scale = np.where(scale > 0, scale, 1).astype(np.float32)
                packed[f"{name}:{key}"] = np.rint(values / scale).astype(np.int8)
                packed[f"{name}:{key}{_SCALE}"] = scale
            else:
                packed[f"{name}:{key}"] = values
    save_file(packed, path)


def unpack_encoders(path: Path, folder: Path) -> None:
    """Write every encoder of a pack below ``folder``, as the file or folder that it came from."""
    by_source: dict[str, dict[str, np.ndarray]] = {}
    packed = load_file(path)
    for full, values in packed.items():
        if full.endswith(_SCALE):
            continue
        source, key = full.split(":", 1)
        scale = packed.get(f"{full}{_SCALE}")
        whole = values if scale is None else values.astype(np.float32) * scale
        by_source.setdefault(source, {})[key] = whole
    folder.mkdir(parents=True, exist_ok=True)
    for source, tensors in by_source.items():
        if source.endswith("/"):
            (folder / source).mkdir(exist_ok=True)
            for key, values in tensors.items():
                np.save(folder / source / f"{key}.npy", values)
        else:
            save_file(tensors, folder / source)
