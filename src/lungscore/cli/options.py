"""Options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


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


Out = Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.")]
RunBy = Annotated[Engine, typer.Option(help="What runs the network.")]
ComputedIn = Annotated[
    Precision,
    typer.Option(
        help="What it computes in: f32, the same on every computer, or bf16, faster where the "
        "processor has it."
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FOLDER",
        help="Another model for infection; GGO and consolidation are then told apart by density.",
    ),
]
LesionsModel = Annotated[
    str | None,
    typer.Option(
        "--lesions-model",
        metavar="NAME|FOLDER",
        help="The model that tells GGO from consolidation.",
    ),
]
Case = Annotated[
    str | None, typer.Option(metavar="NAME", help="Name of the case instead of the file's.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace results that are there already.")
]
NoRanges = Annotated[
    bool,
    typer.Option("--no-ranges", help="Give no range beside each number; faster."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print each result as one line of JSON.")]
