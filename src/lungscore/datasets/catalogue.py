"""Every public dataset that lungscore knows, by name."""

import difflib
from importlib import import_module

from lungscore.datasets.dataset import Dataset
from lungscore.errors import UsageError

#: name -> the module that reads it.
_MODULES = {
    "covid-semiseg": "covid_semiseg",
    "medseg": "medseg",
    "medseg-volumes": "medseg_volumes",
    "ictcf": "ictcf",
    "covid-ct": "covid_ct",
    "covid-chestxray": "covid_chestxray",
    "cc-ccii": "cc_ccii",
    "covid-19-ct-seg": "covid_19_ct_seg",
    "mosmed": "mosmed",
    "covid-ct-md": "covid_ct_md",
    "stoic2021": "stoic2021",
}

NAMES = tuple(_MODULES)


def dataset(name: str) -> Dataset:
    """The dataset called ``name``. Raises UsageError, which names the nearest."""
    if name not in _MODULES:
        close = difflib.get_close_matches(name, NAMES, n=1)
        raise UsageError(
            "usage",
            f"Unknown dataset: {name!r}",
            expected=", ".join(NAMES),
            hint=f"Did you mean {close[0]}?" if close else "",
        )
    found: Dataset = import_module(f"lungscore.datasets.{_MODULES[name]}").DATASET
    return found


def datasets() -> list[Dataset]:
    """All of them, in the order of the catalogue."""
    return [dataset(name) for name in NAMES]
