"""lungscore predict: infection in 2-D slices."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lungscore.cli.console import (
    as_json,
    complain,
    describe,
    exit_with,
    note,
    say_json,
    summarise,
)
from lungscore.cli.options import (
    AsJson,
    ComputedIn,
    Engine,
    LesionsModel,
    Model,
    Out,
    Overwrite,
    Precision,
    RunBy,
    RunOn,
)
from lungscore.errors import InputError, LungscoreError, UsageError
from lungscore.guard import reported

if TYPE_CHECKING:
    from lungscore.inference.predict import SlicePrediction


def predict(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE|FOLDER", help="PNG or JPG slices, or folders of them."),
    ],
    out: Out,
    engine: RunBy = Engine.AUTO,
    precision: ComputedIn = Precision.AUTO,
    device: RunOn = "auto",
    model: Model = None,
    lesions_model: LesionsModel = None,
    overwrite: Overwrite = False,
    as_lines: AsJson = False,
) -> None:
    """Segment infection in single 2-D slices.

    For each slice NAME this writes NAME.png (255 × probability of infection) and NAME_classes.png
    (1 GGO, 2 consolidation), both in the slice's own size.
    """
    from lungscore.inference import load_segmenter
    from lungscore.inference.predict import predict_slice
    from lungscore.report.slices import write_slice
    from lungscore.scan import read_scan

    files = _files(inputs)
    _check_names(files, out)
    segmenter = load_segmenter(
        model, lesions_model, engine=engine.value, precision=precision.value, device=device
    )
    worst = 0
    for file in files:
        try:
            with reported(file.name):
                prediction = predict_slice(read_scan(file, name=file.stem), segmenter)
            write_slice(prediction, file.stem, out, overwrite=overwrite)
        except LungscoreError as error:
            worst = max(worst, error.exit_code)
            if as_lines:
                say_json({"slice": file.stem, **as_json(error, file, case=file.stem)})
            complain(describe(error, file))
            continue
        for notice in prediction.notices:
            note(f"{file.stem}: {notice.message}")
        percent = 100 * float((prediction.classes > 0).mean())
        if as_lines:
            of_lungs = prediction.infected_percent
            say_json(
                {
                    "slice": file.stem,
                    "infected_percent_of_image": round(percent, 4),
                    "infected_percent_of_lungs": None if of_lungs is None else round(of_lungs, 4),
                    "infection_pattern": prediction.infection_pattern,
                }
            )
        else:
            summarise(f"{file.stem}: {_verdict(prediction)} {percent:.1f} % of the image")
    exit_with(worst)


def _verdict(prediction: "SlicePrediction") -> str:
    if prediction.infected_percent is None:
        return "no lungs found; opacity"
    sign = "infection pattern" if prediction.infection_pattern else "no infection pattern"
    return f"{sign}; opacity {prediction.infected_percent:.1f} % of the lungs,"


def _files(inputs: list[Path]) -> list[Path]:
    """Every image named, or lying in a folder named, once. Raises InputError where none is."""
    from lungscore.scan.slices import natural_order

    files: list[Path] = []
    for path in inputs:
        if path.is_dir():
            images = {".png", ".jpg", ".jpeg"}
            pictures = (p for p in path.iterdir() if p.suffix.lower() in images and p.is_file())
            files += sorted(pictures, key=natural_order)
        else:
            files.append(path)
    files = list(dict.fromkeys(files))
    if not files:
        raise InputError("input-empty", f"{inputs[0].name} contains no PNG or JPG slices")
    return files


def _check_names(files: list[Path], out: Path) -> None:
    """Raise UsageError where a picture would take the place of another one, or of an input."""
    from lungscore.report.slices import picture_paths

    own = {file.resolve() for file in files}
    written: dict[str, Path] = {}
    for file in files:
        for path in picture_paths(file.stem, out):
            if path.resolve() in own:
                raise UsageError(
                    "usage",
                    f"{path.name} of the input would be overwritten",
                    hint="Choose another folder with -o",
                )
            first = written.setdefault(path.name.casefold(), file)
            if first is not file:
                raise UsageError(
                    "usage",
                    f"{file.name} and {first.name} would both be written to {path.name}",
                    hint="Write them to different folders",
                )
