"""lungscore data: public datasets, looked at and made into manifests."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lungscore.cli.console import exit_with, note, say, say_json
from lungscore.cli.options import AsJson, Overwrite
from lungscore.errors import InputError

if TYPE_CHECKING:
    from lungscore.datasets.records import Count, Problem

app = typer.Typer(no_args_is_help=True, help="Public datasets: what they are, are they whole?")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name of lungscore data list.")]
Root = Annotated[
    Path, typer.Argument(metavar="ROOT", help="The folder into which it was unpacked.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads; all by default.")]

#: Images between two lines of progress.
_EVERY = 10_000

#: Problems of one kind that are printed; --json and -o hold all.
_SHOWN = 5


@app.command("list")
def list_datasets(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Tell all of one.")] = None,
    as_lines: AsJson = False,
) -> None:
    """What every dataset is, its size, licence, citation, and where to get it."""
    from lungscore.datasets.catalogue import dataset, datasets

    chosen = datasets() if name is None else [dataset(name)]
    told = ("title", "what", "size", "licence", "citation", "where", "seen", "unverified")
    for each in chosen:
        if as_lines:
            facts = {key: getattr(each, key) for key in told}
            say_json({"name": each.name, **facts, "overlaps": each.overlaps})
            continue
        say(f"{each.name}: {each.title}")
        say(f"  {each.what}")
        labels = {
            "size": each.size,
            "licence": each.licence,
            "citation": each.citation,
            "get it": each.where,
            "layout seen in": each.seen,
            "not verified": each.unverified,
            "same patients as": ", ".join(each.overlaps),
        }
        for label, text in labels.items():
            if text:
                say(f"  {label}: {text}")
        say()
    if name is None and not as_lines:
        say("Read a dataset's terms before you use it; lungscore downloads nothing.")


@app.command("check")
def check_dataset(
    name: Name,
    root: Root,
    against: Annotated[
        Path | None,
        typer.Option(metavar="MANIFEST", help="Compare with the checksums of this manifest."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="All problems, as JSON.")
    ] = None,
    overwrite: Overwrite = False,
    threads: Threads = None,
    as_line: AsJson = False,
) -> None:
    """Look at every file: is all there, and whole? Exit code 3 if not. Changes nothing."""
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
        say(f"{name}: {checked.images} whole images, {checked.cases} cases{patients}")
        _say_counts(checked.counts)
        for label, cases in checked.classes.items():
            say(f"  {label}: {cases} cases")
        _say_problems(checked.problems)
        say("It is complete." if checked.complete else "It is not complete.")
    exit_with(0 if checked.complete else InputError.exit_code)


@app.command("prepare")
def prepare_dataset(
    name: Name,
    root: Root,
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="MANIFEST", help="A file .parquet or .csv."),
    ],
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Leave out what is missing or damaged, and list it beside."),
    ] = False,
    overwrite: Overwrite = False,
    threads: Threads = None,
) -> None:
    """Write one row an image: case, patient, group, label, source, path, sha256.

    Patients are split, never slices. Where anything is missing or damaged nothing is written,
    unless --partial.
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
        say(f"Partial. What is left out: {left_out_path(out)}")


def _threads() -> int:
    from lungscore.machine import available_threads

    return available_threads()


def _progress(count: int) -> None:
    if count % _EVERY == 0:
        note(f"{count} images looked at")


def _say_counts(counts: "Sequence[Count]") -> None:
    for count in counts:
        of = "" if count.published is None else f" of {count.published} published"
        say(f"  {count.name}: {count.found}{of}")


def _say_problems(problems: "Sequence[Problem]") -> None:
    from lungscore.datasets.records import PROBLEMS

    kinds: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        kinds[problem.code].append(problem)
    for code, found in sorted(kinds.items(), key=lambda kind: not PROBLEMS[kind[0]][1]):
        meaning, blocking = PROBLEMS[code]
        say(f"  {'problem' if blocking else 'note'} [{code}] {len(found)}: {meaning}")
        for problem in found[:_SHOWN]:
            say(f"    {problem.path}: {problem.found}")
        if len(found) > _SHOWN:
            say(f"    … and {len(found) - _SHOWN} more (all with -o FILE)")
