"""Train the lung network, and one for each group of patients held out, all on the same samples.

    python experiments/lungs/train.py --data pack -o OUT --steps 2000 [--start WEIGHTS]

One batch is made on the device; every network learns from those of its samples that are not of the
patients held out from it. Writes for every network OUT/NAME.safetensors (the moving average of the
weights), OUT/NAME.state.safetensors, from which a run that was stopped goes on, and OUT/NAME.json.
Needs torch, numpy, pillow, safetensors and lungscore.networks alone. On a CPU, two processes of one
thread, each with half of the --folds, are faster than one of two.
"""

import argparse
import copy
import hashlib
import json
import math
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

sys.path[:0] = [str(Path(__file__).parents[2] / "src"), str(Path(__file__).parent)]
from samples import CLASS_OF, OFFSETS_MM, SIZE, Pack, make_samples  # noqa: E402
from scans import FOLDS  # noqa: E402

from lungscore.networks.lung_net import LungNet  # noqa: E402

LEARNING_RATE, WEIGHT_DECAY, AVERAGE, WARM_UP = 2e-3, 1e-4, 0.998, 0.04
#: Steps between two states from which a stopped run goes on.
KEEP_EVERY = 50


class Learner:
    """One network, its optimiser and the moving average of its weights."""

    def __init__(self, name: str, device: torch.device) -> None:
        torch.manual_seed(sum(name.encode()))
        self.name = name
        self.held_out = FOLDS.get(name, ())
        self.network = LungNet().to(device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).eval()
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        self.losses: list[Tensor] = []
        self.steps = 0

    def learn(self, inputs: Tensor, classes: Tensor, weight: Tensor, rate: float) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with torch.autocast(inputs.device.type, torch.bfloat16):
            logits = self.network(inputs.contiguous(memory_format=torch.channels_last))
        loss = loss_of(logits.float(), classes, weight)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.losses.append(loss.detach())
        self.steps += 1
        self._follow(min(AVERAGE, self.steps / (self.steps + 10)))

    @torch.no_grad()
    def _follow(self, keep: float) -> None:
        ours, theirs = self.average.state_dict(), self.network.state_dict()
        floats = [key for key, value in ours.items() if value.is_floating_point()]
        torch._foreach_lerp_([ours[k] for k in floats], [theirs[k] for k in floats], 1 - keep)

    def save(self, folder: Path, batches: int) -> None:
        """The average by itself, and all that a run goes on from after so many ``batches``."""
        average = dict(self.average.state_dict())
        state = {f"average.{key}": value for key, value in average.items()}
        state |= {f"network.{key}": value for key, value in self.network.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            state |= {f"optimiser.{index}.{key}": value for key, value in moments.items()}
        state["losses"] = torch.stack(self.losses[-100:])
        state["steps"] = torch.tensor([self.steps, batches])
        for path, tensors in (
            (_state(folder, self.name), state),
            (_average(folder, self.name), average),
        ):
            temporary = path.with_suffix(".part")
            save_file(
                {key: value.detach().cpu().contiguous() for key, value in tensors.items()},
                temporary,
            )
            os.replace(temporary, path)

    def start_from(self, weights: Path) -> None:
        """Begin with other weights than random ones."""
        for module in (self.network, self.average):
            module.load_state_dict(load_file(weights))

    def restore(self, folder: Path) -> int:
        """Go on from a saved state; the number of batches until then, 0 where there is none."""
        path = _state(folder, self.name)
        if not path.exists():
            return 0
        state = load_file(path)
        for name, module in (("average", self.average), ("network", self.network)):
            module.load_state_dict(_below(state, name))
        optimiser = self.optimiser.state_dict()
        for key, value in _below(state, "optimiser").items():
            index, name = key.split(".")
            optimiser["state"].setdefault(int(index), {})[name] = value
        self.optimiser.load_state_dict(optimiser)
        self.losses = list(state["losses"])
        self.steps, batches = state["steps"].tolist()
        return batches


def _sha256(path: Path | None) -> str | None:
    return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()


def _average(folder: Path, name: str) -> Path:
    return folder / f"{name}.safetensors"


def _state(folder: Path, name: str) -> Path:
    return folder / f"{name}.state.safetensors"


def _below(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    start = f"{name}."
    return {key.removeprefix(start): value for key, value in state.items() if key.startswith(start)}


def loss_of(logits: Tensor, classes: Tensor, weight: Tensor) -> Tensor:
    """Weighted cross-entropy plus one minus the Dice of each class over the batch."""
    known = classes != 255
    target = torch.where(known, classes, 0).long()
    weight = weight * known
    entropy = functional.cross_entropy(logits, target, reduction="none", label_smoothing=0.005)
    entropy = (entropy * weight).sum() / weight.sum().clamp(min=1)
    probability = logits.softmax(1) * known[:, None]
    truth = functional.one_hot(target, 4).permute(0, 3, 1, 2) * known[:, None]
    both = (probability * truth).sum((0, 2, 3))
    total = probability.sum((0, 2, 3)) + truth.sum((0, 2, 3))
    dice = (2 * both + 50) / (total + 50)
    return entropy + 0.5 * (1 - dice).mean()


@torch.no_grad()
def measure(learner: Learner, pack: Pack) -> dict[str, dict[str, float]]:
    """Dice of right, left and airways in the scans held out (all scans where none are)."""
    rows = {}
    device = pack.pictures.device
    classes_of = torch.tensor(CLASS_OF, device=device, dtype=torch.uint8)
    margin = (pack.pictures.shape[-1] - SIZE) // 2
    inner = slice(margin, margin + SIZE)
    for scan, (name, patient) in enumerate(zip(pack.names, pack.patients, strict=True)):
        if learner.held_out and (patient not in learner.held_out or name.startswith("made")):
            continue
        offsets = np.rint(np.array(OFFSETS_MM) / pack.layer_mm[scan])
        offsets = np.where(offsets == 0, np.sign(OFFSETS_MM), offsets).astype(int)
        index = np.arange(pack.count[scan])[:, None] + offsets
        there = torch.from_numpy((index >= 0) & (index < pack.count[scan])).to(device)
        slices = torch.from_numpy(np.clip(index, 0, pack.count[scan] - 1) + pack.first[scan])
        both, total = torch.zeros(4, device=device), torch.zeros(4, device=device)
        for start in range(0, len(index), 32):
            chosen = slices[start : start + 32].to(device)
            inputs = pack.pictures[chosen][:, :, inner, inner].float() / 255
            inputs = inputs * there[start : start + 32, :, None, None]
            answer = learner.average(inputs.contiguous(memory_format=torch.channels_last)).argmax(1)
            truth = classes_of[pack.labels[chosen[:, 3]][:, inner, inner].long()]
            for value in range(1, 4):
                a, b = (answer == value) & (truth != 255), truth == value
                both[value] += (a & b).sum()
                total[value] += a.sum() + b.sum()
        dice = (2 * both / total.clamp(min=1)).tolist()
        rows[name] = dict(
            zip(("right", "left", "airways"), (round(d, 4) for d in dice[1:]), strict=True)
        )
    return rows


def mean_loss(learner: Learner) -> float:
    """Over the last hundred steps; not a number before the first."""
    losses = learner.losses[-100:]
    return torch.stack(losses).mean().item() if losses else math.nan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("pack"))
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=2000, help="batches in all")
    parser.add_argument(
        "--denser-from",
        type=int,
        default=850,
        help="batch from which dense lung is made more often",
    )
    parser.add_argument(
        "--start", type=Path, help="weights that 'all' starts from; never those held out"
    )
    parser.add_argument("--folds", default="all,a,b,c,d,e", help="comma-separated names")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=LEARNING_RATE, help="highest learning rate")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    device = torch.device(arguments.device)
    pack = Pack.read(arguments.data, device)
    print(f"{len(pack.names)} scans, {len(pack.pictures)} pictures", flush=True)
    learners = [Learner(name, device) for name in arguments.folds.split(",")]
    for learner in learners:
        if arguments.start is not None and not learner.held_out:
            learner.start_from(arguments.start)
    batches = {learner.restore(arguments.out) for learner in learners}
    if len(batches) > 1:
        raise SystemExit(f"these networks stopped at different steps: {sorted(batches)}")
    patients = np.array(pack.patients)
    began = time.monotonic()
    for step in range(batches.pop(), arguments.steps):
        progress = step / arguments.steps
        rate = (
            arguments.rate * min(1, progress / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * progress))
        )
        random = np.random.default_rng((arguments.seed, step))
        scans, index, z = pack.draw(arguments.batch, random)
        seed, denser = int(random.integers(2**31)), step >= arguments.denser_from
        inputs, classes, weight = make_samples(pack, index, z, seed, denser=denser)
        for learner in learners:
            mine = np.flatnonzero(~np.isin(patients[scans], learner.held_out))
            if len(mine) < 2:  # batch norm needs two
                continue
            chosen = torch.from_numpy(mine).to(device)
            learner.learn(inputs[chosen], classes[chosen], weight[chosen], max(rate, 1e-6))
        if (step + 1) % KEEP_EVERY == 0:
            text = " ".join(f"{learner.name} {mean_loss(learner):.4f}" for learner in learners)
            print(f"step {step + 1}, {time.monotonic() - began:.0f} s: {text}", flush=True)
            for learner in learners:
                learner.save(arguments.out, step + 1)
    for learner in learners:
        learner.save(arguments.out, arguments.steps)
        facts = {
            "command": " ".join(["python", *sys.argv]),
            "steps": arguments.steps,
            "denser_from": arguments.denser_from,
            "batch": arguments.batch,
            "seed": arguments.seed,
            "started_from": _sha256(arguments.start) if not learner.held_out else None,
            "device": torch.cuda.get_device_name() if device.type == "cuda" else device.type,
            "torch": torch.__version__,
            "held_out": learner.held_out,
            "loss": round(mean_loss(learner), 5),
            "dice": measure(learner, pack),
        }
        print(learner.name, json.dumps(facts["dice"]), flush=True)
        (arguments.out / f"{learner.name}.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
