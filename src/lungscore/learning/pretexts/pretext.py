"""What the tasks without labels share: a network that learns with a last part of its own."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from lungscore.learning.config import ExperimentConfig
from lungscore.learning.inpainting import Draw
from lungscore.learning.loop import Task, augmentation_device, optimise, own_share, set_rate
from lungscore.learning.slices import SliceStore, epoch_indices
from lungscore.learning.train import learning_rate
from lungscore.networks import normalise


class Pretext(Task):
    """A learner that holds what is trained of ``network``, and one loss a batch.

    copies: how many images the learner sees of one slice. Batches hold so many times fewer slices,
    so that every task sees ``training.slices_per_epoch`` images an epoch. figure: the name of what
    is logged beside the loss. draw: as Inpainting's.
    """

    copies: ClassVar[int] = 1
    figure: ClassVar[str]

    def __init__(
        self,
        config: ExperimentConfig,
        network: nn.Module,
        store: SliceStore,
        draw: Draw | None = None,
    ) -> None:
        if config.pretraining is None:
            raise ValueError("the experiment has no section pretraining")
        self.config, self.settings = config, config.pretraining
        self.store, self.draw, self.bare = store, draw, network
        self.learner = self.make_learner(network)
        self.networks = {"learner": self.learner}
        self.optimizers = {
            "learner": torch.optim.AdamW(
                self.learner.parameters(),
                lr=config.training.learning_rate,
                weight_decay=config.training.weight_decay,
                fused=True,
            )
        }

    @abstractmethod
    def make_learner(self, network: nn.Module) -> nn.Module:
        """The parts of ``network`` that learn, and the last layers that this task needs."""

    @abstractmethod
    def loss(
        self, fabric: Fabric, learner: nn.Module, indices: np.ndarray, rng: np.random.Generator
    ) -> tuple[Tensor, float]:
        """The loss of the slices at ``indices``, and what is logged beside it."""

    def begin(self, fabric: Fabric, number: int) -> None:
        """What is to be done before epoch ``number`` (from 0)."""

    def epoch(self, fabric: Fabric, number: int) -> dict[str, float]:
        """Steps over ``training.slices_per_epoch`` images."""
        training = self.config.training
        seed = np.random.SeedSequence([training.seed, number])
        torch.manual_seed(int(seed.generate_state(1)[0]))
        rng = np.random.default_rng([training.seed, number])
        of_drawing: dict[str, float] = {}
        if self.draw is not None:
            self.store, of_drawing = self.draw(number)
        self.begin(fabric, number)
        learner, optimizer = self.networks["learner"], self.optimizers["learner"]
        learner.train()
        batches = epoch_indices(len(self.store), 0, self._fewer(), rng)
        losses, told = [], []
        for step, indices in enumerate(batches):
            progress = (number + step / len(batches)) / training.epochs
            set_rate(optimizer, rate := learning_rate(training, progress, number))
            loss, figure = self.loss(fabric, learner, indices, rng)
            losses.append(optimise(fabric, learner, optimizer, loss, norm=5.0))
            told.append(figure)
        return {
            "loss": float(np.mean(losses)),
            self.figure: float(np.mean(told)),
            "learning_rate": rate,
            **of_drawing,
        }

    def result(self) -> nn.Module:
        """The network, its last layers as they were."""
        return self.bare

    def images(
        self,
        fabric: Fabric,
        indices: np.ndarray,
        rng: np.random.Generator,
        config: ExperimentConfig | None = None,
    ) -> Tensor:
        """Normalised slices (N, 1, H, W), augmented as ``config`` (this experiment's) says."""
        batch = self.store.batch(indices, config or self.config, rng, augmentation_device(fabric))
        return normalise(own_share(fabric, batch.image))

    def _fewer(self) -> ExperimentConfig:
        """The experiment with batches and epochs of so many slices as make its images."""
        training = self.config.training
        changes = {
            key: max(1, getattr(training, key) // self.copies)
            for key in ("batch_size", "slices_per_epoch")
        }
        return self.config.model_copy(update={"training": training.model_copy(update=changes)})
