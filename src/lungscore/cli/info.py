"""lungscore info: what is installed and what this machine offers."""

from lungscore.cli.console import say, say_json
from lungscore.cli.options import AsLine
from lungscore.errors import LungscoreError
from lungscore.version import RESEARCH_USE, __version__


def info(
    as_line: AsLine = False,
) -> None:
    """Show installed versions, inference engines and models."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from lungscore.inference import list_bundles
    from lungscore.inference.device import cuda_devices
    from lungscore.inference.engines import ENGINE_MODULES
    from lungscore.machine import available_threads

    engines: dict[str, str | None] = {}
    for name in ENGINE_MODULES:
        try:
            engines[name] = version(name)
        except PackageNotFoundError:
            engines[name] = None
    facts = {
        "lungscore": __version__,
        "use": RESEARCH_USE,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": available_threads(),
        "engines": engines,
        "graphics_cards": cuda_devices(),
        "models": {name: _model_version(name) for name in list_bundles()},
        "result_schema": "lungscore.result/1",
    }
    if as_line:
        say_json(facts)
        return
    for key, value in facts.items():
        say(f"{key}: {value}")


def _model_version(name: str) -> str:
    """The version of a model, or the code of what is wrong with it."""
    from lungscore.inference import load_bundle

    try:
        return load_bundle(name).card.version
    except LungscoreError as error:
        return error.code
