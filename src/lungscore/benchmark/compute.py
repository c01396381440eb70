"""What a training costs, in slices seen: the measure by which rows have the same compute.

A slice counts once for every time that it passes the segmentation network in a training step: the
coach's steps in pre-training count, the rounds of pseudo-labelling count, and so does whatever a
run builds on, its teacher first of all. Predictions and measurements between epochs do not.
"""

from collections.abc import Iterable

from lungscore.benchmark.plan import Run
from lungscore.learning.config import ExperimentConfig
from lungscore.learning.inpainting import coach_batches, rules_of
from lungscore.learning.pseudo_labels import drawn_slices
from lungscore.learning.train import PAPER_SCALES

#: Annotated slices, of which a fold holds some out.
ANNOTATED = 50


def slices_seen(config: ExperimentConfig) -> int:
    """Those of one run, without what it builds on."""
    training = config.training
    batches = max(1, training.slices_per_epoch // training.batch_size)
    if config.pretraining is not None:
        return training.batch_size * (training.epochs * batches + _coach_steps(config, batches))
    if config.pseudo_labelling is not None:
        held_out = 0 if config.data.fold is None else ANNOTATED // config.data.folds
        seen = drawn_slices(config, ANNOTATED - held_out)
    else:
        seen = training.epochs * batches * training.batch_size
    several_sizes = training.recipe == "paper" and config.target == "infection"
    twice = 1 if config.second_task is None else 2  # whole, and with blocks erased
    return twice * seen * (len(PAPER_SCALES) if several_sizes else 1)


def slices_together(runs: Iterable[Run]) -> int:
    """Those of several runs together."""
    return sum(slices_seen(run.config) for run in runs)


def _coach_steps(config: ExperimentConfig, batches: int) -> int:
    """Batches on which the coach sees the network's errors, over all epochs."""
    settings = config.pretraining
    if settings is None or settings.task != "inpainting" or settings.masks != "coach":
        return 0
    rules = rules_of(config)
    if not rules.through:
        return config.training.epochs * coach_batches(settings, batches)
    if rules.settled:
        return config.training.epochs * batches
    random = min(settings.random_epochs, config.training.epochs)
    return random + (config.training.epochs - random) * batches
