"""The two pictures of a predicted slice."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from lungscore.errors import UsageError
from lungscore.files import atomic_write

if TYPE_CHECKING:
    from lungscore.inference.predict import SlicePrediction

#: Colours of NAME_classes.png: background, GGO, consolidation; apart for colour-blind eyes too.
PALETTE = ((0, 0, 0), (86, 180, 233), (230, 159, 0))


def picture_paths(name: str, folder: Path) -> tuple[Path, Path]:
    """Where the slice ``name`` is written: its probability and its classes."""
    return folder / f"{name}.png", folder / f"{name}_classes.png"


def write_slice(
    prediction: "SlicePrediction", name: str, folder: Path, *, overwrite: bool = False
) -> None:
    """Write ``name``.png and ``name``_classes.png into ``folder``. Raises output-exists."""
    grey, classes = picture_paths(name, folder)
    for path in (grey, classes):
        if path.exists() and not overwrite:
            raise UsageError("output-exists", f"{path.name} already exists", hint="Use --overwrite")
    atomic_write(grey, _png(Image.fromarray(prediction.infection)))
    palette = Image.fromarray(prediction.classes).convert("P")
    palette.putpalette([channel for colour in PALETTE for channel in colour])
    atomic_write(classes, _png(palette))


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
