"""lungscore demo: the built-in phantom, end to end, the truth beside what was found."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lungscore.cli.console import summarise
from lungscore.cli.options import NoRanges

if TYPE_CHECKING:
    from lungscore.result import Analysis

#: The presets of scan.phantom, which is not loaded for a help text.
PRESETS = ("healthy", "few-patches", "several-patches", "many-patches", "dense", "one-lung")


def demo(
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FOLDER", help="Folder for phantom and results.")
    ],
    preset: Annotated[
        str,
        typer.Option(
            metavar="|".join(PRESETS),
            help="Disease preset of the phantom.",
            autocompletion=lambda: list(PRESETS),
        ),
    ] = "several-patches",
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Random seed: another seed, another phantom.")
    ] = 0,
    no_ranges: NoRanges = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", metavar="", help="Replace an earlier demo.")
    ] = False,
) -> None:
    """Analyse a synthetic chest CT and compare the result with its known truth.

    The network sees only the images, none of the masks.
    """
    from lungscore.analysis import analyze
    from lungscore.report.case_folder import refuse_existing
    from lungscore.report.outputs import write_outputs
    from lungscore.report.text import text_table
    from lungscore.scan.phantom import make_phantom
    from lungscore.scan.write import write_nifti

    phantom = make_phantom(preset, seed=seed)
    refuse_existing(out, phantom.scan.name, overwrite=overwrite)
    path = out / f"{phantom.scan.name}.nii.gz"
    write_nifti(phantom.scan, path)
    analysis = analyze(path, ranges=not no_ranges)
    folder = write_outputs(analysis, out, overwrite=overwrite)
    summarise(text_table(analysis))
    summarise()
    summarise(_truth_beside_found(phantom.truth, analysis))
    summarise()
    summarise(f"Report: {folder / 'report.html'}")


def _truth_beside_found(truth: dict, analysis: "Analysis") -> str:
    """A table of the phantom's exact figures and what was found."""
    from lungscore.labels import LOBE_ORDER
    from lungscore.result import to_result
    from lungscore.result.numbers import NUMBERS, lobe_number

    result = to_result(analysis)
    names = ("infection_ml", "infection_percent", "ggo_percent", "consolidation_percent")
    pairs = [(NUMBERS["volume_ml"], truth["lungs_ml"])]
    pairs += [(NUMBERS[name], truth[name]) for name in names]
    pairs += [
        (lobe_number(lobe, "infection_percent"), truth["lobes"][lobe]["infection_percent"])
        for lobe in LOBE_ORDER
    ]
    rows = [(f"{n.title}, {n.symbol}", true, n.value(result)) for n, true in pairs]
    lines = [f"{'phantom':32}{'truth':>10}{'measured':>10}"]
    for name, true, value in rows:
        cells = ("–" if number is None else f"{number:.1f}" for number in (true, value))
        lines.append(f"{name:32}" + "".join(f"{cell:>10}" for cell in cells))
    return "\n".join(lines)
