"""Self-supervised pre-training: inpainting under a coach's masks (Algorithm 2 of the paper).

Two recipes. ``paper`` follows equations (3)–(5) and, where they are silent, the published code: a
quarter of the blocks is erased, first at random; the coach trains on the gradient that passes
through the masked image and the network; stochastic gradient descent. ``default`` parts with it
where that is wasteful or cannot work well: the share that is erased grows; the coach learns from
errors that were measured under *random* erasing (a block that is visible is easy, whatever it
holds); errors are measured at the resolution that the heads have; masks are drawn with some noise.
"""

from collections.abc import Callable

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from lungscore.learning.config import ExperimentConfig, PretrainingConfig
from lungscore.learning.loop import Task, augmentation_device, optimise, own_share, set_rate
from lungscore.learning.slices import SliceStore, epoch_indices
from lungscore.learning.train import learning_rate
from lungscore.networks import NetworkOutput, normalise
from lungscore.networks.coach import HARD, Coach, keep_mask
from lungscore.networks.inpainting import (
    masked_mean,
    put_inpainting_heads,
    reconstruction_error,
    restore_heads,
)

#: Weights of the erased part and of its surroundings in the loss (Singh et al. 2018).
ERASED, CONTEXT = 0.99, 0.01

#: Share of blocks that the paper keeps (k of equation 4), and its limit of a squared error.
PAPER_KEEP, PAPER_LIMIT = 0.75, 2.0


#: Epoch (from 0) -> its slices, and what is to be logged of how they were drawn.
Draw = Callable[[int], tuple[SliceStore, dict[str, float]]]


class Inpainting(Task):
    """A network that reconstructs, and the coach that makes it hard.

    draw: where ``store`` is that of one epoch only, gives that of any (from 0).
    """

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
        self.store, self.draw = store, draw
        self.heads = put_inpainting_heads(network)
        self.bare = network
        self.paper = config.training.recipe == "paper"
        self.networks = {"segmentation": network}
        self.optimizers = {"segmentation": _optimizer(network, config)}
        self.coach: Coach | None = None
        if self.settings.masks == "coach":
            self.coach = coach = Coach(
                width=self.settings.coach_width,
                block=self.settings.block,
                variational=self.paper,
            )
            self.networks["coach"] = coach
            rate = 1e-5 if self.paper else self.settings.coach_learning_rate
            self.optimizers["coach"] = torch.optim.Adam(coach.parameters(), lr=rate)

    def epoch(self, fabric: Fabric, number: int) -> dict[str, float]:
        """Coach steps, then network steps, over ``training.slices_per_epoch`` slices."""
        training = self.config.training
        torch.manual_seed(int(np.random.SeedSequence([training.seed, number]).generate_state(1)[0]))
        rng = np.random.default_rng([training.seed, number])
        of_drawing: dict[str, float] = {}
        if self.draw is not None:
            self.store, of_drawing = self.draw(number)
        batches = epoch_indices(len(self.store), 0, self.config, rng)
        guided = "coach" in self.networks and number >= self.settings.random_epochs
        figures = {}
        if "coach" in self.networks:
            # The paper's coach is not trained while masks are random: its loss is only measured.
            learns = guided or not self.paper
            some = batches[: self._coach_batches(len(batches), learns=learns)]
            coach_losses = [self._coach_step(fabric, i, rng, learns=learns) for i in some]
            figures["coach_loss"] = float(np.mean(coach_losses))
        losses, random_losses = [], []
        network, optimizer = self.networks["segmentation"], self.optimizers["segmentation"]
        network.train()
        for step, indices in enumerate(batches):
            progress = (number + step / len(batches)) / training.epochs
            set_rate(optimizer, rate := self._rate(progress, number))
            image = self._images(fabric, indices, rng)
            mask = self._mask(image, number, guided=guided)
            loss, erased = self._network_loss(network, image, mask)
            losses.append(optimise(fabric, network, optimizer, loss, norm=5.0))
            random_losses.append(erased)
        figures |= {
            "loss": float(np.mean(losses)),
            "erased_error": float(np.mean(random_losses)),
            "erased_share": self.erased_share(number),
            "learning_rate": rate,
            **of_drawing,
        }
        if "coach" in self.networks:
            figures |= self._hardness(fabric, number, rng)
        return figures

    def result(self) -> nn.Module:
        """The network with its segmentation heads back."""
        restore_heads(self.bare, self.heads)
        return self.bare

    def erased_share(self, number: int) -> float:
        """The share of blocks that is erased in epoch ``number`` (from 0)."""
        return erased_share(self.settings, number, self.config.training.epochs, paper=self.paper)

    def reconstruct(self, image: Tensor, mask: Tensor) -> Tensor:
        """The finest reconstruction (N, 1, H, W) of a normalised ``image``, erased by ``mask``."""
        finest: Tensor = self._outputs(self.bare, image * mask).side_outputs[-1]
        return finest.float()

    def _images(self, fabric: Fabric, indices: np.ndarray, rng: np.random.Generator) -> Tensor:
        batch = self.store.batch(indices, self.config, rng, augmentation_device(fabric))
        return normalise(own_share(fabric, batch.image))

    def _coach_batches(self, batches: int, *, learns: bool) -> int:
        if self.paper:
            return batches if learns else 1
        return max(1, round(batches * self.settings.coach_batches))

    def _mask(self, image: Tensor, number: int, *, guided: bool) -> Tensor:
        """Hard masks (N, 1, H, W), 1 kept: the coach's, or of random blocks."""
        share = self.erased_share(number)
        size = (image.shape[-2], image.shape[-1])
        scores = random_scores(image, self.settings.block)
        if guided:
            coach = self.networks["coach"].train(self.paper)
            with torch.no_grad():
                chosen = coach(image)[0].float()  # (N, 1, rows, columns)
            # Some noise keeps the masks of one image from being always the same.
            spread = chosen.flatten(1).std(1).view(-1, 1, 1, 1)
            scores = chosen if self.paper else chosen + spread * torch.randn_like(chosen)
        return keep_mask(scores, 1 - share, size, alpha=HARD)

    def _network_loss(
        self, network: nn.Module, image: Tensor, mask: Tensor
    ) -> tuple[Tensor, float]:
        """Loss over all outputs, and the mean error of the finest where the image was erased."""
        errors = self._errors(network, image, mask)
        erased = torch.stack([masked_mean(error, 1 - mask) for error in errors])
        # The published loop overwrites the context term, so that only the edge output's counts.
        context = masked_mean(errors[-1], mask)
        finest = erased[-2] if len(errors) > 1 else erased[-1]
        return ERASED * erased.sum() + CONTEXT * context, finest.item()

    def _errors(self, network: nn.Module, image: Tensor, mask: Tensor) -> list[Tensor]:
        """Squared errors (N, 1, H, W) of every output, the edge branch's last."""
        output = self._outputs(network, image * mask)
        outputs = [*output.side_outputs, *([] if output.edge is None else [output.edge])]
        target = image if self.paper else _smooth(image)
        limit = PAPER_LIMIT if self.paper else None
        return [reconstruction_error(picture.float(), target, limit=limit) for picture in outputs]

    def _outputs(self, network: nn.Module, seen: Tensor) -> NetworkOutput:
        if self.config.target == "lesions":
            # The prior comes from labels in the published code; here it says nothing.
            seen = torch.cat([seen, torch.zeros_like(seen)], dim=1)
        output: NetworkOutput = network(seen)
        return output

    def _coach_step(
        self, fabric: Fabric, indices: np.ndarray, rng: np.random.Generator, *, learns: bool
    ) -> float:
        """One step on L_coach = 1 − L_rec(x ⊙ M) (equation 3); returns that loss."""
        coach, network = self.networks["coach"].train(), self.networks["segmentation"].eval()
        image = self._images(fabric, indices, rng)
        size = (image.shape[-2], image.shape[-1])
        scores, divergence = coach(image)
        soft = keep_mask(scores.float(), PAPER_KEEP if self.paper else 0.5, size)
        if self.paper:
            errors = self._errors(network, image, soft)
            reward = torch.stack([masked_mean(error, 1 - soft) for error in errors]).sum()
            loss = 1 - reward + 1e-6 * divergence
        else:
            erased = 1 - keep_mask(random_scores(image, self.settings.block), 0.5, size, alpha=HARD)
            with torch.no_grad():
                error = torch.stack(self._errors(network, image, 1 - erased)).mean(0)
                error = error / masked_mean(error, erased)
            loss = 1 - masked_mean(error, (1 - soft) * erased)
        return optimise(fabric, coach, self.optimizers["coach"], loss) if learns else loss.item()

    def _hardness(self, fabric: Fabric, number: int, rng: np.random.Generator) -> dict[str, float]:
        """The network's error under the coach's masks and under random ones, on the same slices.

        What tells whether the coach makes it harder: both with the same share erased.
        """
        network = self.networks["segmentation"].eval()
        image = self._images(fabric, rng.permutation(len(self.store))[:16], rng)
        errors = {}
        with torch.no_grad():
            for name, guided in (("coach_mask_error", True), ("random_mask_error", False)):
                mask = self._mask(image, number, guided=guided)
                errors[name] = self._network_loss(network, image, mask)[1]
        return errors

    def _rate(self, progress: float, epoch: int) -> float:
        if not self.paper:
            return learning_rate(self.config.training, progress, epoch)
        if epoch >= self.settings.random_epochs:
            return 1e-5
        within = epoch / max(self.settings.random_epochs, 1)
        return 0.1 if within < 0.4 else 1e-2 if within < 0.8 else 1e-3 if within < 0.9 else 1e-4


def erased_share(settings: PretrainingConfig, epoch: int, epochs: int, *, paper: bool) -> float:
    """The share of blocks that is erased at ``epoch``: growing evenly, or the paper's quarter."""
    if paper:
        return 1 - PAPER_KEEP
    first, last = settings.erase
    return first + (last - first) * epoch / max(epochs - 1, 1)


def random_scores(image: Tensor, block: int) -> Tensor:
    """Uniform random B (N, 1, rows, columns) for an image (N, C, H, W)."""
    rows, columns = (-(-side // block) for side in image.shape[-2:])
    return torch.rand(len(image), 1, rows, columns, device=image.device)


def _smooth(image: Tensor) -> Tensor:
    """The image as maps of a quarter of its size can show it."""
    size = (image.shape[-2], image.shape[-1])
    small = functional.avg_pool2d(image, 4, ceil_mode=True, count_include_pad=False)
    return functional.interpolate(small, size, mode="bilinear")


def _optimizer(network: nn.Module, config: ExperimentConfig) -> torch.optim.Optimizer:
    training = config.training
    if training.recipe == "paper":
        return torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    return torch.optim.AdamW(
        network.parameters(),
        lr=training.learning_rate,
        weight_decay=training.weight_decay,
        fused=True,
    )
