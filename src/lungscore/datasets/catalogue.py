"""Every public dataset that lungscore knows, by name."""

import difflib
from importlib import import_module

from lungscore.datasets.dataset import Dataset
from lungscore.errors import UsageError

#: name -> the module that reads it.
_MODULES = {
    "covid-semiseg": "covid_semiseg",
    "medseg": "medseg",
}

NAMES = tuple(_MODULES)


def dataset(name: str) -> Dataset:
    """The dataset called ``name``. Raises UsageError, which names the nearest."""
    if name not in _MODULES:
        close = difflib.get_close_matches(name, NAMES, n=1)
        raise UsageError(
            "usage",
            f"no dataset is called {name!r}",
            expected=", ".join(NAMES),
            hint=f"did you mean {close[0]}?" if close else "",
        )
    found: Dataset = import_module(f"lungscore.datasets.{_MODULES[name]}").DATASET
    return found


def datasets() -> list[Dataset]:
    """All of them, in the order of the catalogue."""
    return [dataset(name) for name in NAMES]
