"""Options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lungscore.machine import check_device

#: Groups of options in a command's help.
INFERENCE = "Models and inference"
COHORT = "Many scans"
OBJECTS = "For other systems"
REPORT = "Report"


class Engine(StrEnum):
    """What can run a network; the names of inference.engines."""

    AUTO = "auto"
    OPENVINO = "openvino"
    ONNXRUNTIME = "onnxruntime"
    TORCH = "torch"


class Precision(StrEnum):
    """The numeric precision of a network."""

    AUTO = "auto"
    F32 = "f32"
    BF16 = "bf16"


class Etiology(StrEnum):
    """What a user may state as the cause; the keys of pacs.codes.ETIOLOGIES."""

    COVID_19 = "covid-19"


class Size(StrEnum):
    """How much of a report there is; the names of report.settings."""

    FULL = "full"
    SMALL = "small"
    NONE = "none"


Out = Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Output folder.")]
RunBy = Annotated[Engine, typer.Option(help="Inference engine.", rich_help_panel=INFERENCE)]
ComputedIn = Annotated[
    Precision,
    typer.Option(
        help="Numeric precision: f32 gives the same masks on every processor; bf16 is faster on "
        "those that support it.",
        rich_help_panel=INFERENCE,
    ),
]
RunOn = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda[:N]",
        callback=check_device,
        help="Device that runs the networks: auto is the first graphics card if it works "
        "(CUDA; needs torch), otherwise the processor.",
        rich_help_panel=INFERENCE,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FOLDER",
        help="Use another infection model; GGO and consolidation are then separated by density, "
        "unless --lesions-model is given.",
        rich_help_panel=INFERENCE,
    ),
]
LesionsModel = Annotated[
    str | None,
    typer.Option(
        "--lesions-model",
        metavar="NAME|FOLDER",
        help="Use another model to separate GGO from consolidation.",
        rich_help_panel=INFERENCE,
    ),
]
Case = Annotated[
    str | None, typer.Option(metavar="NAME", help="Case name (default: the input's name).")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", metavar="", help="Replace existing results.")
]
Pdf = Annotated[
    bool,
    typer.Option(
        "--pdf", metavar="", help="Also write report.pdf (lungscore[pdf]).", rich_help_panel=REPORT
    ),
]
WithIdentifiers = Annotated[
    bool,
    typer.Option(
        "--identifiers",
        metavar="",
        help="Also write study and series UID, study date, accession number and series "
        "description of a DICOM series, to join results with an archive.",
        rich_help_panel=REPORT,
    ),
]
SizeOfReport = Annotated[
    Size,
    typer.Option(
        "--report-size",
        help="Report with every slice, with twelve of them, or no report.",
        rich_help_panel=REPORT,
    ),
]
NoRanges = Annotated[
    bool,
    typer.Option(
        "--no-ranges",
        metavar="",
        help="Do not compute the range of each number; faster.",
        rich_help_panel=INFERENCE,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", metavar="", help="Print each result as one line of JSON.")
]
AsLine = Annotated[
    bool, typer.Option("--json", metavar="", help="Print the result as one line of JSON.")
]
Threads = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Number of threads (default: all).")
]
Regions = Annotated[
    bool,
    typer.Option(
        "--regions",
        metavar="",
        help="Also write the 20 regions as DICOM segments.",
        rich_help_panel=OBJECTS,
    ),
]
StatedEtiology = Annotated[
    Etiology | None,
    typer.Option(
        help="Cause to record in DICOM objects as stated by you. None is recorded by default: "
        "images do not establish it.",
        rich_help_panel=OBJECTS,
    ),
]
