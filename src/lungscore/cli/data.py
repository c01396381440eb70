"""lungscore data: public datasets, looked at and made into manifests."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lungscore.cli.console import exit_with, note, say, say_json
from lungscore.cli.options import AsJson, AsLine, Overwrite, Threads
from lungscore.errors import InputError

if TYPE_CHECKING:
    from lungscore.datasets.records import Count, Problem

app = typer.Typer(
    no_args_is_help=True, help="List, check and prepare public datasets for training."
)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Dataset name (see lungscore data list).")
]
Root = Annotated[Path, typer.Argument(metavar="ROOT", help="Folder of the unpacked dataset.")]

#: Images between two lines of progress.
_EVERY = 10_000

#: Problems of one kind that are printed; --json and -o hold all.
_SHOWN = 5


@app.command("list")
def list_datasets(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Show the details of one dataset.")
    ] = None,
    as_lines: AsJson = False,
) -> None:
    """List the supported datasets: contents, size, licence, citation and source."""
    from lungscore.datasets.catalogue import dataset, datasets

    chosen = datasets() if name is None else [dataset(name)]
    told = ("title", "what", "size", "licence", "citation", "where", "seen", "unverified")
    for entry in chosen:
        if as_lines:
            facts = {key: getattr(entry, key) for key in told}
            say_json({"name": entry.name, **facts, "overlaps": entry.overlaps})
            continue
        say(f"{entry.name}: {entry.title}")
        say(f"  {entry.what}")
        labels = {
            "size": entry.size,
            "licence": entry.licence,
            "citation": entry.citation,
            "source": entry.where,
            "layout verified on": entry.seen,
            "not verified": entry.unverified,
            "shares patients with": ", ".join(entry.overlaps),
        }
        for label, text in labels.items():
            if text:
                say(f"  {label}: {text}")
        say()
    if name is None and not as_lines:
        say("Read the terms of a dataset before you use it. lungscore downloads nothing.")


@app.command("check")
def check_dataset(
    name: Name,
    root: Root,
    against: Annotated[
        Path | None,
        typer.Option(metavar="MANIFEST", help="Compare with the checksums in this manifest."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="Write all problems to this file (JSON)."),
    ] = None,
    overwrite: Overwrite = False,
    threads: Threads = None,
    as_line: AsLine = False,
) -> None:
    """Check that every file is present and readable. Changes nothing.

    The exit code is 3 if the dataset is incomplete or damaged.
    """
    from lungscore.datasets.catalogue import dataset
    from lungscore.datasets.check import check
    from lungscore.files import atomic_write, refuse_existing_file

    if out is not None:
        refuse_existing_file(out, overwrite=overwrite)
    checked = check(
        dataset(name), root, against=against, threads=threads or _threads(), report=_progress
    )
    content = checked.to_content()
    if out is not None:
        atomic_write(out, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    if as_line:
        say_json(content)
    else:
        patients = f", {checked.patients} patients" if checked.patients else ""
        say(f"{name}: {checked.images} readable images, {checked.cases} cases{patients}")
        _say_counts(checked.counts)
        for label, cases in checked.classes.items():
            say(f"  {label}: {cases} cases")
        _say_problems(checked.problems)
        say("The dataset is complete." if checked.complete else "The dataset is not complete.")
    exit_with(0 if checked.complete else InputError.exit_code)


@app.command("prepare")
def prepare_dataset(
    name: Name,
    root: Root,
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="MANIFEST", help="Output file, .parquet or .csv."),
    ],
    partial: Annotated[
        bool,
        typer.Option(
            "--partial", metavar="", help="Leave out missing and damaged files, and list them."
        ),
    ] = False,
    overwrite: Overwrite = False,
    threads: Threads = None,
) -> None:
    """Write a manifest with one row per image, split by patient into groups.

    Columns: case, patient, group, label, source, path, sha256. Nothing is written if files are
    missing or damaged, unless --partial is given.
    """
    from lungscore.datasets.catalogue import dataset
    from lungscore.datasets.prepare import left_out_path, patients_path, prepare

    prepared = prepare(
        dataset(name),
        root,
        out,
        partial=partial,
        overwrite=overwrite,
        threads=threads or _threads(),
        report=_progress,
    )
    _say_problems(prepared.problems)
    groups = ", ".join(f"{count} {group}" for group, count in prepared.groups.items())
    say(f"{sum(prepared.groups.values())} images ({groups}): {out}")
    if prepared.patients is not None:
        say(f"{len(prepared.patients)} patients: {patients_path(out)}")
    if any(problem.blocking for problem in prepared.problems):
        say(f"The manifest is partial. Files left out: {left_out_path(out)}")


def _threads() -> int:
    from lungscore.machine import available_threads

    return available_threads()


def _progress(count: int) -> None:
    if count % _EVERY == 0:
        note(f"{count} images checked")


def _say_counts(counts: "Sequence[Count]") -> None:
    for count in counts:
        of = "" if count.published is None else f" of {count.published} published"
        say(f"  {count.name}: {count.found}{of}")


def _say_problems(problems: "Sequence[Problem]") -> None:
    from lungscore.datasets.records import PROBLEMS

    kinds: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        kinds[problem.code].append(problem)
    for code, problems_of_kind in sorted(kinds.items(), key=lambda kind: not PROBLEMS[kind[0]][1]):
        meaning, blocking = PROBLEMS[code]
        say(f"  {'problem' if blocking else 'note'} [{code}] {len(problems_of_kind)}: {meaning}")
        for problem in problems_of_kind[:_SHOWN]:
            say(f"    {problem.path}: {problem.found}")
        if len(problems_of_kind) > _SHOWN:
            say(f"    … and {len(problems_of_kind) - _SHOWN} more (-o FILE lists all)")
