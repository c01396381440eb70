"""All commands, and how each way to fail is told."""

import errno
import time
import traceback

import typer

from lungscore.cli import (
    agree,
    analyze,
    archive,
    benchmark,
    clinical,
    compare,
    data,
    deidentify,
    demo,
    detection,
    dicom,
    evaluate,
    info,
    inspect,
    labels,
    models,
    node,
    predict,
    quickstart,
    review,
    score,
    train,
)
from lungscore.cli.console import (
    complain,
    detail,
    fail,
    internal_error,
    output_error,
    take_global_flags,
    verbosity,
)
from lungscore.errors import LungscoreError, ResourceError, UsageError
from lungscore.interruption import EXIT_INTERRUPTED
from lungscore.version import RESEARCH_USE, __version__

app = typer.Typer(
    name="lungscore",
    help=f"From a chest CT to the severity of pneumonia.\n\n{RESEARCH_USE}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

USE, COMPARE, HOSPITAL, RESEARCH = "Use", "Compare", "Hospital", "Research"

app.command("quickstart", rich_help_panel=USE)(quickstart.quickstart)
app.command("analyze", rich_help_panel=USE)(analyze.analyze)
app.command("predict", rich_help_panel=USE)(predict.predict)
app.command("score", rich_help_panel=USE)(score.score)
app.command("review", rich_help_panel=USE)(review.review)
app.command("inspect", rich_help_panel=USE)(inspect.inspect)
app.command("demo", rich_help_panel=USE)(demo.demo)
app.command("labels", rich_help_panel=USE)(labels.labels)
app.command("info", rich_help_panel=USE)(info.info)
app.add_typer(models.app, name="models", rich_help_panel=USE)
app.command("compare", rich_help_panel=COMPARE)(compare.compare)
app.command("agree", rich_help_panel=COMPARE)(agree.agree)
app.command("dicom", rich_help_panel=HOSPITAL)(dicom.dicom)
app.add_typer(node.app, name="node", rich_help_panel=HOSPITAL)
app.command("pull", rich_help_panel=HOSPITAL)(archive.pull)
app.command("push", rich_help_panel=HOSPITAL)(archive.push)
app.command("deidentify", rich_help_panel=HOSPITAL)(deidentify.deidentify)
app.command("pretrain", rich_help_panel=RESEARCH)(train.pretrain)
app.command("train", rich_help_panel=RESEARCH)(train.train)
app.add_typer(evaluate.app, name="evaluate", rich_help_panel=RESEARCH)
app.add_typer(benchmark.app, name="benchmark", rich_help_panel=RESEARCH)
app.add_typer(detection.app, name="detection", rich_help_panel=RESEARCH)
app.add_typer(clinical.app, name="clinical", rich_help_panel=RESEARCH)
app.add_typer(data.app, name="data", rich_help_panel=RESEARCH)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"lungscore {__version__}\n{RESEARCH_USE}")
        raise typer.Exit()


@app.callback()
def main(
    version: bool = typer.Option(
        False,
        "--version",
        metavar="",
        callback=_version,
        is_eager=True,
        help="Show the version and exit.",
    ),
    quiet: bool = typer.Option(
        False,
        "-q",
        "--quiet",
        metavar="",
        help="Print errors and the requested output only, no progress.",
    ),
    verbose: bool = typer.Option(
        False, "-v", "--verbose", metavar="", help="Print details: engine, models, time and memory."
    ),
    debug: bool = typer.Option(
        False, "--debug", metavar="", help="Show the traceback of an internal error."
    ),
) -> None:
    """Global options. --quiet, --verbose and --debug are taken by ``call``, wherever they stand."""


def _extra_of(module: str) -> str:
    """The extra of pyproject.toml that brings a library."""
    library = module.split(".")[0]
    return _EXTRAS.get(library, "train")


#: The extra that brings a library; training brings the others.
_EXTRAS = {
    "ray": "ray",
    "sklearn": "study",
    "statsmodels": "study",
    "starlette": "review",
    "uvicorn": "review",
    "highdicom": "dicom",
    "pynetdicom": "dicom",
    "dicomweb_client": "dicom",
    "requests": "dicom",
    "retrying": "dicom",
}


def _leave_paths_to_us(commands: typer.Typer) -> None:
    """No command checks whether its paths can be read: one of several would end the whole run."""
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            _leave_paths_to_us(group.typer_instance)
    for command in commands.registered_commands:
        for annotation in getattr(command.callback, "__annotations__", {}).values():
            for option in getattr(annotation, "__metadata__", ()):
                if hasattr(option, "readable"):
                    option.readable = False


_leave_paths_to_us(app)


def call(arguments: list[str], *, debug: bool = False) -> int:
    """Run one command and return its exit code."""
    arguments = take_global_flags(arguments, debug=debug)
    start = time.monotonic()
    try:
        # Typer returns the code that a command leaves with, 130 after Ctrl-C among them.
        code = app(arguments, prog_name="lungscore", standalone_mode=False) or 0
    except LungscoreError as error:
        return fail(error)
    except MemoryError:
        return fail(ResourceError("out-of-memory", "There is not enough memory"))
    except ModuleNotFoundError as error:
        hint = f'Install it with: pip install "lungscore[{_extra_of(error.name or "")}]"'
        return fail(ResourceError("library-missing", f"{error.name} is not installed", hint=hint))
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.ENOSPC):
            return fail(output_error(error))  # help and the like, which Typer prints
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # a usage error of Typer's
            error.show()
            return UsageError.exit_code
        if verbosity().debug:
            traceback.print_exc()
        return internal_error(error)
    if code == EXIT_INTERRUPTED:
        complain("The run was interrupted.")
    detail(f"{time.monotonic() - start:.1f} s in all")
    return code
