"""The command line: argument handling only. Exit codes as documented in docs/errors.md."""

import sys

import typer

from lungscore.cli import (
    analyze,
    demo,
    evaluate,
    info,
    inspect,
    models,
    predict,
    score,
    train,
)
from lungscore.cli.console import fail, internal_error
from lungscore.errors import LungscoreError, UsageError
from lungscore.version import RESEARCH_USE, __version__

EXIT_INTERRUPTED = 130

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
app.command("inspect")(inspect.inspect)
app.command("demo")(demo.demo)
app.command("train")(train.train)
app.add_typer(evaluate.app, name="evaluate")
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
) -> None:
    """Options that stand before a command."""


def run() -> None:
    """Entry point: every failure ends as a message and an exit code, never as a traceback."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    try:
        app(standalone_mode=False)
    except LungscoreError as error:
        sys.exit(fail(error))
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("interrupted\n")
        sys.exit(EXIT_INTERRUPTED)
    except typer.Exit as error:
        sys.exit(error.exit_code)
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # a usage error of Typer's
            error.show()
            sys.exit(UsageError.exit_code)
        if debug:
            raise
        sys.exit(internal_error(error))
