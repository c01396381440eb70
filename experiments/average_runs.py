"""Average the weights of infection-small and of infection-clean, which goes on from it.

    python experiments/average_runs.py SHARE

SHARE is that of infection-clean, 0 to 1 (shipped: 0.5). Every fold and half, and the network of all
slices, becomes a run of infection-averaged (runs/infection-averaged/fold0-seed0, …; the halves of
the scans without pneumonia are runs/infection-averaged-cranial and -caudal). A network and one that
was fine-tuned from it lie in one basin, so that a point between them is as good a network
(Wortsman et al., CVPR 2022).
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from lungscore.files import atomic_write
from lungscore.learning.checkpoints import read_facts
from lungscore.learning.loop import WEIGHTS

RUNS = Path("runs")
HALVES = ("", "-cranial", "-caudal")
NAME = "infection-averaged"


def averaged(
    before: dict[str, torch.Tensor], after: dict[str, torch.Tensor], share: float
) -> dict[str, torch.Tensor]:
    """Tensors between two networks of one kind; counters are those of ``after``."""
    return {
        name: torch.lerp(before[name].float(), value.float(), share).contiguous()
        if value.is_floating_point()
        else value
        for name, value in after.items()
    }


def main() -> None:
    """Write the weights of every run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("share", type=float)
    share = parser.parse_args().share
    for half in HALVES:
        for after in sorted((RUNS / f"infection-clean{half}").glob(f"*/{WEIGHTS}")):
            run = after.parent.name
            before = RUNS / f"infection-small{half}" / run / WEIGHTS
            facts = read_facts(after)
            facts["config"]["name"] = NAME + half
            facts["averaged"] = {"of": ["infection-small", "infection-clean"], "share": share}
            tensors = averaged(load_file(before), load_file(after), share)
            out = RUNS / f"{NAME}{half}" / run / WEIGHTS
            out.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(out, save(tensors, {"facts": json.dumps(facts, sort_keys=True)}))
            print(out, flush=True)


if __name__ == "__main__":
    main()
