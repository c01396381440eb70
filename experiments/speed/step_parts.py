"""What a training step is made of, in seconds of a whole epoch."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from lightning_fabric import Fabric

from lungscore.learning import inpainting, train
from lungscore.learning.loop import Task
from lungscore.learning.slices import SliceStore


@contextmanager
def timed_parts(
    task: Task, fabric: Fabric, store: SliceStore, wait: Callable[[], None]
) -> Iterator[dict[str, float]]:
    """Time the parts of the epochs that ``task`` trains in this block.

    wait: returns when the device has done its work. Gives seconds by part, filled when the block
    ends: "drawing" (choosing and augmenting), "backward", "optimiser" (clipping, step) and, of
    pre-training, "coach" (its steps, its masks, the measure of its hardness, and all that these
    call). What is left of an epoch is the forward pass and the loss.
    """
    seconds: dict[str, float] = {}
    running: list[str] = []

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if "coach" in running:
                return function(*args, **options)
            wait()
            began, inner = time.perf_counter(), sum(seconds.values())
            running.append(part)
            result = function(*args, **options)
            running.pop()
            wait()
            inside = sum(seconds.values()) - inner
            seconds[part] = seconds.get(part, 0.0) + time.perf_counter() - began - inside
            return result

        return call

    with ExitStack() as stack:
        for owner, name, part in (
            (store, "batch", "drawing"),
            (fabric, "backward", "backward"),
            (train, "optimise", "optimiser"),
            (inpainting, "optimise", "optimiser"),
            (task, "_coach_step", "coach"),
            (task, "_hardness", "coach"),
            (task, "_mask", "coach"),
        ):
            if hasattr(owner, name):
                function = timed(part, getattr(owner, name))
                stack.enter_context(patch.object(owner, name, function))
        yield seconds
