"""One network trained for a fixed time, on whatever device there is."""

import copy
import json
import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from lungscore.learning.checkpoints import load_checkpoint, save_checkpoint
from lungscore.learning.timed.loss import two_answers_loss
from lungscore.learning.timed.slices import SliceStore
from lungscore.networks.probabilities import normalise

#: Learning rates of the heads and of the encoder, weight decay, and the largest norm of a gradient.
HEADS, ENCODER, DECAY, NORM = 1.5e-3, 6e-4, 0.02, 5.0
#: Share of the time in which the rate climbs; to what share of the peak it falls.
CLIMB, FLOOR = 0.08, 0.01
#: The most that the averaged weights keep of themselves in a step.
AVERAGE = 0.99
#: They keep t / (t + this) in step t until that is as much: the average is over about the last
#: tenth of the steps, and nothing of the first weights stays in a short training.
AVERAGE_DELAY = 9.0


@dataclass(frozen=True)
class Pace:
    """How a training uses its device.

    batch: slices a step. record: record a step once and repeat it (CUDA graphs), which frees the
    CPU. channels_last: how maps lie in memory. bf16: mixed precision. search: time cuDNN's
    algorithms before the first step. steps: most steps, for tests. checkpoint_seconds: how often a
    run is saved so that it can go on.
    """

    batch: int = 32
    record: bool = True
    channels_last: bool = True
    bf16: bool = True
    search: bool = False
    steps: int | None = None
    checkpoint_seconds: float = 60.0


@dataclass
class Curve:
    """What a run tells: rows of (seconds, steps, mean loss since the last row)."""

    rows: list[tuple[float, int, float]] = field(default_factory=list)
    recorded: bool = False
    peak_bytes: int = 0


class TimedTraining:
    """Steps, the average of the weights, checkpoints, and the clock that ends it all."""

    def __init__(
        self,
        network: nn.Module,
        store: SliceStore,
        pace: Pace,
        *,
        synthesis: bool,
        seed: int = 0,
        loss: Callable[..., Tensor] = two_answers_loss,
    ) -> None:
        self.device, self.store, self.pace = store.device, store, pace
        self.synthesis, self.loss = synthesis, loss
        layout = torch.channels_last if pace.channels_last else torch.contiguous_format
        self.network = network.to(self.device, memory_format=layout).train()  # type: ignore[call-overload]
        self.average = _copy_of(self.network)
        on_gpu = self.device.type == "cuda"
        rates = [torch.tensor(0.0, device=self.device) if on_gpu else 0.0 for _ in range(2)]
        encoder = set(self.network.encoder.parameters())
        groups = [
            {"params": [p for p in self.network.parameters() if p not in encoder], "lr": rates[0]},
            {"params": list(self.network.encoder.parameters()), "lr": rates[1]},
        ]
        self.optimizer = torch.optim.AdamW(
            groups, weight_decay=DECAY, capturable=on_gpu, foreach=True
        )
        self.total = torch.zeros((), device=self.device)
        self.averaged = torch.zeros((), device=self.device)
        self.done, self.spent = 0, 0.0
        self.curve = Curve()
        torch.manual_seed(seed)

    def resume(self, checkpoint: Path) -> None:
        """Go on from a checkpoint, if there is one."""
        if not checkpoint.exists():
            return
        facts = load_checkpoint(
            checkpoint,
            {"network": self.network, "average": self.average},
            {"network": self.optimizer},
        )
        self.done, self.spent = facts["steps"], facts["seconds"]
        self.averaged.fill_(self.done)
        self.curve.rows = [tuple(row) for row in facts["curve"]]

    def run(
        self,
        seconds: float,
        *,
        checkpoint: Path | None = None,
        at_progress: Callable[[float], None] = lambda progress: None,
    ) -> nn.Module:
        """Train until ``seconds`` are spent, earlier ones of a resumed run counted; the average.

        at_progress: called now and then with 0…1, to change what is drawn.
        Raises FloatingPointError where the loss is no number.
        """
        torch.backends.cudnn.benchmark = self.pace.search
        before, began = self.spent, time.perf_counter()
        saved = told = before
        told_steps = self.done
        steps = iter(self._steps())
        while True:
            self.spent = before + time.perf_counter() - began
            progress = self.spent / seconds
            if self.pace.steps is not None:
                progress = max(progress, self.done / self.pace.steps)
            if progress >= 1 and self.done > 0:
                break
            self._set_rates(min(progress, 1.0))
            if self.done % 20 == 0:
                at_progress(min(progress, 1.0))
            next(steps)
            self.done += 1
            if self.spent - told >= min(5.0, seconds / 10):
                self._tell(told_steps)
                told, told_steps = self.spent, self.done
            if checkpoint is not None and self.spent - saved >= self.pace.checkpoint_seconds:
                self.save(checkpoint)
                saved = self.spent
        torch.backends.cudnn.benchmark = False
        if self.done > told_steps:
            self._tell(told_steps)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
            self.curve.peak_bytes = torch.cuda.max_memory_reserved()
        return self.average.eval()

    def save(self, checkpoint: Path) -> None:
        """Everything that the run needs to go on."""
        save_checkpoint(
            checkpoint,
            {"network": self.network, "average": self.average},
            {"network": self.optimizer},
            steps=self.done,
            seconds=self.spent,
            curve=self.curve.rows,
        )

    def _tell(self, since: int) -> None:
        """A row of the curve: the mean loss since a step. Waits for the device."""
        mean = float(self.total) / max(self.done - since, 1)
        if not math.isfinite(mean):
            raise FloatingPointError(f"the mean loss at step {self.done} is {mean}")
        self.total.zero_()
        self.curve.rows.append((round(self.spent, 1), self.done, round(mean, 4)))

    def _set_rates(self, progress: float) -> None:
        share = rate(progress)
        for group, peak in zip(self.optimizer.param_groups, (HEADS, ENCODER), strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(peak * share)
            else:
                group["lr"] = peak * share

    def _step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        batch = self.store.batch(self.pace.batch, synthesis=self.synthesis)
        image = normalise(batch.image)
        if self.pace.channels_last:
            image = image.contiguous(memory_format=torch.channels_last)
        kind = self.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=self.pace.bf16, cache_enabled=False):
            output = self.network(image)
        loss = self.loss(output, batch.infection, batch.consolidation)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), NORM, foreach=True)
        self.optimizer.step()
        with torch.no_grad():
            self.total += loss.detach()
            kept = (self.averaged / (self.averaged + AVERAGE_DELAY)).clamp(max=AVERAGE)
            change = torch._foreach_sub(_values(self.network), _values(self.average))
            torch._foreach_mul_(change, 1 - kept)
            torch._foreach_add_(_values(self.average), change)
            self.averaged += 1

    def _steps(self) -> Iterator[None]:
        """One step each time; on a GPU never more than two ahead of it."""
        if self.device.type != "cuda":
            while True:
                self._step()
                yield
        for _ in range(3):  # algorithms are chosen, caches filled, the optimiser's state made
            self._step()
            yield
        torch.cuda.synchronize()
        graph = self._recorded() if self.pace.record else None
        self.curve.recorded = graph is not None
        pending: list[torch.cuda.Event] = []
        while True:
            if graph is None:
                self._step()
            else:
                graph.replay()
            event = torch.cuda.Event(blocking=True)
            event.record()
            pending.append(event)
            if len(pending) > 2:
                pending.pop(0).synchronize()
            yield

    def _recorded(self) -> "torch.cuda.CUDAGraph | None":
        """A step as one graph; None where it cannot be recorded."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.synchronize()
        torch.cuda.empty_cache()  # the recorded step has memory of its own
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._step()
        except RuntimeError as error:
            warnings.warn(f"the step was not recorded: {error}", stacklevel=2)
            torch.cuda.synchronize()
            return None
        return graph


def rate(progress: float) -> float:
    """Share of the peak learning rate at ``progress`` 0…1: a straight climb, then a cosine."""
    if progress < CLIMB:
        return max(progress / CLIMB, 0.02)
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * (progress - CLIMB) / (1 - CLIMB)))


def _copy_of(network: nn.Module) -> nn.Module:
    average = copy.deepcopy(network)
    for parameter in average.parameters():
        parameter.requires_grad_(False)
    return average


def _values(network: nn.Module) -> list[Tensor]:
    """Parameters and statistics of batch norm."""
    return [value for value in network.state_dict().values() if value.is_floating_point()]


def write_json(path: Path, content: object) -> None:
    """A small file, whole or not at all."""
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    temporary.replace(path)
