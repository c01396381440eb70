"""All commands, and how each way to fail is told."""

import errno
import traceback

import typer

from lungscore.cli import (
    agree,
    analyze,
    benchmark,
    clinical,
    compare,
    data,
    demo,
    detection,
    evaluate,
    info,
    inspect,
    models,
    predict,
    score,
    train,
)
from lungscore.cli.console import fail, internal_error, note, output_error
from lungscore.errors import LungscoreError, ResourceError, UsageError
from lungscore.interruption import EXIT_INTERRUPTED
from lungscore.version import RESEARCH_USE, __version__

app = typer.Typer(
    name="lungscore",
    help="From a chest CT to a severity of pneumonia. " + RESEARCH_USE,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("analyze")(analyze.analyze)
app.command("predict")(predict.predict)
app.command("score")(score.score)
app.command("compare")(compare.compare)
app.command("agree")(agree.agree)
app.command("inspect")(inspect.inspect)
app.command("demo")(demo.demo)
app.command("train")(train.train)
app.command("pretrain")(train.pretrain)
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(detection.app, name="detection")
app.add_typer(clinical.app, name="clinical")
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.command("info")(info.info)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"lungscore {__version__}\n{RESEARCH_USE}")
        raise typer.Exit()


@app.callback()
def main(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and stop."
    ),
    debug: bool = typer.Option(
        False, "--debug", help="Show the traceback of a failure that is lungscore's own."
    ),
) -> None:
    """Options that stand before a command; --debug may stand anywhere."""


def _extra_of(module: str) -> str:
    """The extra of pyproject.toml that brings a library."""
    library = module.split(".")[0]
    return {"ray": "ray", "sklearn": "study", "statsmodels": "study"}.get(library, "train")


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
    try:
        # Typer returns the code that a command leaves with, 130 after Ctrl-C among them.
        code = app(arguments, prog_name="lungscore", standalone_mode=False, obj=debug) or 0
    except LungscoreError as error:
        return fail(error)
    except MemoryError:
        return fail(ResourceError("out-of-memory", "there is not enough memory for this"))
    except ModuleNotFoundError as error:
        hint = f'pip install "lungscore[{_extra_of(error.name or "")}]"'
        return fail(ResourceError("library-missing", f"{error.name} is not installed", hint=hint))
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.ENOSPC):
            return fail(output_error(error))  # help and the like, which Typer prints
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # a usage error of Typer's
            error.show()
            return UsageError.exit_code
        if debug:
            traceback.print_exc()
        return internal_error(error)
    if code == EXIT_INTERRUPTED:
        note("interrupted")
    return code
