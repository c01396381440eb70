"""lungscore quickstart: the next three commands for what is in a folder."""

import shlex
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import say, say_json
from lungscore.cli.options import AsLine

#: A command, and what it is for.
Step = tuple[str, str]


def quickstart(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where to look (default: the current folder).")
    ] = Path(),
    as_line: AsLine = False,
) -> None:
    """Print the next three commands for what a folder contains. Writes nothing."""
    from lungscore.errors import InputError

    if not folder.is_dir():
        raise InputError("input-not-found", f"No such folder: {folder.absolute()}")
    contents, steps = next_steps(folder)
    if as_line:
        say_json({"contains": contents, "commands": [command for command, _ in steps]})
        return
    say(f"{contents}\n")
    for command, purpose in steps:
        say(f"  {command}\n      {purpose}")
    say("\nlungscore --help lists all commands; each has its own --help.")


def next_steps(folder: Path) -> tuple[str, list[Step]]:
    """What ``folder`` contains, in a sentence, and three commands for it."""
    if (own := _own_labels(folder)) is not None:
        return "Here are images with masks.", _training(own)
    if results := _results(folder):
        beside = folder not in results and _has_scan(folder)
        where = f" --scans {_quoted(folder)}" if beside else ""
        if len(results) == 1:
            return "Here is the result of one case.", _one_result(results[0], where)
        return "Here are results of several cases.", _several_results(folder, results, where)
    scans = _scans(folder)
    if not scans:
        return "There is neither a scan nor a result here.", _nothing()
    if len(scans) == 1:
        return "Here is one scan.", _one_scan(scans[0])
    return "Here are several scans.", _several_scans(folder, scans[0])


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _own_labels(folder: Path) -> Path | None:
    """The folder with ``images`` and ``masks`` in it: this one, or one in it."""
    for candidate in (folder, *sorted(p for p in folder.iterdir() if p.is_dir())):
        if (candidate / "images").is_dir() and (candidate / "masks").is_dir():
            return candidate
    return None


def _results(folder: Path) -> list[Path]:
    """The first case folders here, or one folder further down."""
    patterns = ("result.json", "*/result.json", "*/*/result.json")
    cases = (path.parent for pattern in patterns for path in sorted(folder.glob(pattern)))
    return list(islice((case for case in cases if (case / "lesions.nii.gz").is_file()), 3))


def _scans(folder: Path) -> list[Path]:
    """The first scans below ``folder``; none where it holds nothing that could be one."""
    from lungscore.batch.find import find_cases
    from lungscore.errors import InputError
    from lungscore.scan.recognise import find

    paths = [case.path for case in islice(find_cases(folder), 3)]
    if paths == [folder]:
        try:
            find(folder)
        except InputError:
            return []
    return paths


def _has_scan(folder: Path) -> bool:
    """Whether a file of ``folder`` itself is named like a scan."""
    from lungscore.scan.names import ENDINGS

    return any(path.is_file() and path.name.lower().endswith(ENDINGS) for path in folder.iterdir())


def _ratings(folder: Path) -> Path | None:
    """A table whose first column is called case, as ``agree`` reads it."""
    for table in sorted(folder.glob("*.csv")):
        with open(table, encoding="utf-8-sig", errors="replace") as lines:
            if lines.readline(200).lower().startswith("case"):
                return table
    return None


def _nothing() -> list[Step]:
    return [
        ("lungscore demo -o demo", "Analyse a synthetic chest CT, next to its known truth."),
        ("lungscore inspect path/to/scan", "Show what a scan of yours contains."),
        ("lungscore analyze path/to/scan -o results", "Measure it and write a report."),
    ]


def _one_scan(scan: Path) -> list[Step]:
    return [
        (f"lungscore inspect {_quoted(scan)}", "Show series, geometry and plausibility."),
        (f"lungscore analyze {_quoted(scan)} -o results", "Measure it and write a report."),
        ("lungscore labels -o colours", "Colour tables, to look at the masks in 3D Slicer."),
    ]


def _several_scans(folder: Path, first: Path) -> list[Step]:
    run = f"lungscore analyze {_quoted(folder)} -o results --workers 2"
    return [
        (f"lungscore inspect {_quoted(first)}", "Show what the first scan contains."),
        (run, "Measure all of them; results/cohort.html lists them."),
        (f"{run} --resume", "Continue after an interruption."),
    ]


def _one_result(case: Path, where: str) -> list[Step]:
    """where: the option that says where the scan is, if it is here."""
    masks = f"--lungs {_quoted(case / 'lungs.nii.gz')} --lesions {_quoted(case / 'lesions.nii.gz')}"
    return [
        (
            f"lungscore review {_quoted(case)}{where}",
            "Look at every slice, and correct, in a browser.",
        ),
        (f"lungscore score {masks} -o corrected", "Score masks that you corrected elsewhere."),
        (f"lungscore compare {_quoted(case)} later/scan -o followup", "Compare a later scan."),
    ]


def _several_results(folder: Path, cases: list[Path], where: str) -> list[Step]:
    ratings = _ratings(folder) or Path("ratings.csv")
    first, second = _quoted(cases[0]), _quoted(cases[1])
    together = _quoted(cases[0].parent)
    return [
        (f"lungscore compare {first} {second} -o followup", "Two examinations of one patient."),
        (f"lungscore agree {together} {_quoted(ratings)} -o agreement", "Agreement with a reader."),
        (f"lungscore review {together}{where}", "Look at all of them, and correct, in a browser."),
    ]


def _training(folder: Path) -> list[Step]:
    manifest = "data/manifests/my-data.csv"
    return [
        (
            f"lungscore data prepare my-data {_quoted(folder)} -o {manifest}",
            "Pair images with masks; every file is read.",
        ),
        (f"lungscore data check my-data {manifest}", "Check the number of patients."),
        ("lungscore train my-data.yaml --folds 5", "Fine-tune the shipped network."),
    ]
