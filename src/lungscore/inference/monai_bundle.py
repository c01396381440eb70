"""A bundle in the layout of MONAI's: metadata, a configuration, the model, its terms.

Source: the MONAI Bundle Specification. The network is defined by lungscore, so no code is copied
into the bundle, and models/ is a bundle of ours that ``analyze --model`` takes.
"""

import json
import shutil
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lungscore.errors import UsageError
from lungscore.files import atomic_write
from lungscore.inference.bundle import CARD, CHANNELS, GRAPH, WEIGHTS, Bundle
from lungscore.version import RESEARCH_USE, __version__

#: The JSON schema that MONAI's own bundles name.
SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
    "meta_schema_20240725.json"
)


def write_monai_bundle(bundle: Bundle, folder: Path) -> Path:
    """Write ``bundle`` as a MONAI bundle into ``folder``, which must not exist.

    Raises UsageError ``output-exists``, or ``usage`` for a network of more than one input.
    """
    if folder.exists():
        raise UsageError("output-exists", f"{folder.name} already exists", hint="Choose another -o")
    if len(bundle.card.inputs) > 1:
        raise UsageError(
            "usage",
            f"Model {bundle.card.name} takes {len(bundle.card.inputs)} inputs",
            expected="a network of one input, as MONAI's bundles describe it",
        )
    for name, content in (("metadata", metadata(bundle)), ("inference", configuration())):
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        atomic_write(folder / "configs" / f"{name}.json", text)
    for name in (CARD, GRAPH, WEIGHTS):
        (folder / "models").mkdir(exist_ok=True)
        shutil.copyfile(bundle.folder / name, folder / "models" / name)
    atomic_write(folder / "docs" / "README.md", readme(bundle))
    atomic_write(folder / "docs" / "data_license.txt", bundle.card.data_terms + "\n")
    terms = resources.files("lungscore") / "models" / "LICENSE-WEIGHTS.txt"
    atomic_write(folder / "LICENSE", terms.read_text(encoding="utf-8"))
    return folder


def configuration() -> dict[str, Any]:
    """configs/inference.json: the network, by the folder in which the bundle lies."""
    return {
        "bundle_root": ".",
        "network_def": {
            "_target_": "lungscore.inference.engines.network_in",
            "folder": "$@bundle_root + '/models'",
        },
    }


def metadata(bundle: Bundle) -> dict[str, Any]:
    """configs/metadata.json, from the card."""
    card = bundle.card
    shape = [card.input.height, card.input.width]
    image = {
        "type": "image",
        "format": "hounsfield",
        "modality": "CT",
        "num_channels": CHANNELS[card.target],
        "spatial_shape": shape,
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": False,
        "channel_def": {"0": "image"},
    }
    prediction = {
        "type": "probabilities",
        "format": "segmentation",
        "num_channels": len(card.outputs),
        "spatial_shape": shape,
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": False,
        "channel_def": {str(number): name for number, name in enumerate(card.outputs)},
    }
    return {
        "schema": SCHEMA,
        "version": card.version,
        "changelog": {card.version: card.description},
        "monai_version": _installed("monai"),
        "pytorch_version": _installed("torch"),
        "numpy_version": _installed("numpy"),
        "required_packages_version": {"lungscore": __version__},
        "name": card.name,
        "task": card.task,
        "description": card.description,
        "authors": "The lungscore authors",
        "copyright": "The lungscore authors",
        "data_source": "; ".join(card.data),
        "data_type": "2-D slices",
        "image_classes": f"grey levels: {card.input.window_hu} HU to 0…1; {card.input.orientation}",
        "pred_classes": ", ".join(card.outputs),
        "eval_metrics": {str(metric["name"]): metric["text"] for metric in card.metrics},
        "intended_use": RESEARCH_USE,
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": prediction}},
    }


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def readme(bundle: Bundle) -> str:
    """docs/README.md, from the card."""
    card = bundle.card
    low, high = card.input.window_hu
    lines = [
        f"# {card.name} {card.version}",
        RESEARCH_USE,
        card.description + ".",
        f"One slice at a time: {card.input.orientation}, {card.input.height} × {card.input.width} "
        f"pixels, {low:g} to {high:g} HU as 0 to 1. Finding the lungs, the views and the scores "
        "are lungscore's: `lungscore analyze SCAN -o OUT --model models`.",
        "## Data\n\n" + "\n".join(f"- {source}" for source in card.data),
        "## Limits\n\n" + "\n".join(f"- {limit}" for limit in card.limits),
        "## Measured\n\n" + "\n".join(f"- {m['name']}: {m['text']}" for m in card.metrics),
        f"## Terms\n\n{card.data_terms}",
    ]
    return "\n\n".join(lines) + "\n"
