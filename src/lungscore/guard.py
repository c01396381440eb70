"""The outermost guard of an input: what nobody foresaw is a rejection with a report to send."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from lungscore.errors import InputError, LungscoreError

#: The folder of this package, in the paths of tracebacks.
_PACKAGE = "lungscore"


@contextmanager
def reported(name: str) -> Iterator[None]:
    """Turn whatever nobody foresaw while the input ``name`` is worked on into a rejection.

    What is told holds no value of the input: kind of the exception, file and line. Lacking memory
    and libraries are not the input's fault and pass.
    """
    try:
        yield
    except (LungscoreError, MemoryError, ModuleNotFoundError):
        raise
    except Exception as error:
        raise unforeseen(name, error) from error


def unforeseen(name: str, error: Exception) -> InputError:
    """The rejection ``not-analysable`` of the input ``name``, which led to ``error``."""
    location = ""
    for frame in traceback.extract_tb(error.__traceback__):
        folders = frame.filename.replace("\\", "/").split("/")
        if _PACKAGE in folders:
            start = len(folders) - 1 - folders[::-1].index(_PACKAGE)
            location = f" at {'/'.join(folders[start:])}:{frame.lineno}"
    return InputError(
        "not-analysable",
        f"{name} led to an error in lungscore ({type(error).__name__}{location})",
        hint="Please report this line and the version of lungscore; --debug prints more",
    )
