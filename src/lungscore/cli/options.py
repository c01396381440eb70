"""Options that several commands share."""

from enum import StrEnum


class Engine(StrEnum):
    """What can run a network; the names of inference.engines."""

    AUTO = "auto"
    OPENVINO = "openvino"
    ONNXRUNTIME = "onnxruntime"
    TORCH = "torch"


class Precision(StrEnum):
    """What a network computes in."""

    AUTO = "auto"
    F32 = "f32"
    BF16 = "bf16"
