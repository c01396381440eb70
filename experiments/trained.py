"""A network to measure: a bundle, or the finished run of a training."""

from pathlib import Path

from lungscore.inference import load_bundle
from lungscore.inference.bundle import CARD, Bundle
from lungscore.learning.card import make_bundle


def bundle_in(folder: Path) -> Bundle:
    """The bundle in ``folder``; of a run, one that is exported into its folder.

    Raises InputError checkpoint-mismatch where the run is not finished.
    """
    if (folder / CARD).is_file():
        return load_bundle(folder)
    return make_bundle(folder, folder / "bundle", version=f"{folder.parent.name}/{folder.name}")
