"""Self-supervised pre-training: inpainting under a coach's masks (Algorithm 2 of the paper).

Three kinds, each with a record of its ``Rules``. ``eq3`` is the paper's text: equations (3)–(5) and
Algorithm 2, a quarter of the blocks erased, as many coach steps as network steps in every epoch.
``published`` is its code, schedule and slips included (the recipe "paper"): random masks first, a
noisy code, stochastic gradient descent. ``ours`` parts with both where that is wasteful or cannot
work well: the share that is erased grows; the coach learns from errors that were measured under
*random* erasing (a block that is visible is easy, whatever it holds); errors are measured at the
resolution that the heads have; masks are drawn with some noise.

But for ``published``, a coach step sees the network as it trains, normalised by the batch, and the
coach makes masks with running averages of its own that are measured anew in every epoch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from lungscore.learning import laplace
from lungscore.learning.batch_norm import batch_statistics, recalibrate
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

#: Slices on which the coach's running averages are measured, and on which masks are compared.
CALIBRATION, COMPARED = 64, 16


@dataclass(frozen=True)
class Rules:
    """In what the kinds of pre-training differ.

    grows: the erased share, else it is the paper's quarter. through: the coach's gradient passes
    the masked image and the network (equation 3), else it learns from errors of random blocks.
    settled: batch norm is taken care of where a network is used before its averages have settled.
    variational: the published head of the coach, whose code is noisy wherever it masks a training
    image. varied: noise on a plain coach's scores instead. smooth: the target is the image as the
    heads can show it. limit: of a squared error.
    """

    grows: bool = False
    through: bool = True
    settled: bool = True
    variational: bool = False
    varied: bool = False
    smooth: bool = False
    limit: float | None = None


EQ3 = Rules()
PUBLISHED = Rules(settled=False, variational=True, limit=PAPER_LIMIT)
OURS = Rules(grows=True, through=False, varied=True, smooth=True)


def rules_of(config: ExperimentConfig) -> Rules:
    """Those of the recipe and of pretraining.variant."""
    if config.training.recipe == "paper":
        return PUBLISHED
    ours = config.pretraining is None or config.pretraining.variant == "ours"
    return OURS if ours else EQ3


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
        self.rules = rules_of(config)
        self.networks = {"segmentation": network}
        self.optimizers = {"segmentation": _optimizer(network, config)}
        self.coach: Coach | None = None
        if self.settings.masks == "coach":
            self.coach = coach = Coach(
                width=self.settings.coach_width,
                block=self.settings.block,
                variational=self.rules.variational,
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
            self._settle_coach(fabric, batches, number)
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
        return figures | self._hardness(fabric, number, rng)

    def result(self) -> nn.Module:
        """The network with its segmentation heads back."""
        restore_heads(self.bare, self.heads)
        return self.bare

    def erased_share(self, number: int) -> float:
        """The share of blocks that is erased in epoch ``number`` (from 0)."""
        return erased_share(self.settings, number, self.config.training.epochs, self.rules)

    def reconstruct(self, image: Tensor, mask: Tensor) -> Tensor:
        """The finest reconstruction (N, 1, H, W) of a normalised ``image``, erased by ``mask``."""
        finest: Tensor = self._outputs(self.bare, image * mask).side_outputs[-1]
        return finest.float()

    def _images(self, fabric: Fabric, indices: np.ndarray, rng: np.random.Generator) -> Tensor:
        batch = self.store.batch(indices, self.config, rng, augmentation_device(fabric))
        return normalise(own_share(fabric, batch.image))

    def _coach_batches(self, batches: int, *, learns: bool) -> int:
        if not learns:
            return 1
        return batches if self.rules.through else coach_batches(self.settings, batches)

    def _settle_coach(self, fabric: Fabric, batches: list[np.ndarray], number: int) -> None:
        """Measure the coach's running averages anew: it makes masks with them from here on."""
        if not self.rules.settled:
            return
        coach = self.networks["coach"]
        rng = np.random.default_rng([self.config.training.seed, number, 2])
        indices = np.concatenate(batches)[:CALIBRATION]
        recalibrate(coach, coach, self._images(fabric, indices, rng))

    def _mask(self, image: Tensor, number: int, *, guided: bool, measured: bool = False) -> Tensor:
        """Hard masks (N, 1, H, W), 1 kept: the coach's, in evaluation mode, or of random blocks.

        measured: without the noise that varies the masks of a training image.
        """
        share = self.erased_share(number)
        size = (image.shape[-2], image.shape[-1])
        if not guided:
            scores = random_scores(image, self.settings.block)
            return keep_mask(scores, 1 - share, size, alpha=HARD)
        coach = self.networks["coach"].eval()
        noisy = self.rules.variational and not measured
        with torch.no_grad():
            scores = coach(image, noisy=noisy)[0].float()  # (N, 1, rows, columns)
        if self.rules.varied and not measured:
            # Some noise keeps the masks of one image from being always the same.
            spread = scores.flatten(1).std(1).view(-1, 1, 1, 1)
            scores = scores + spread * torch.randn_like(scores)
        return keep_mask(scores, 1 - share, size, alpha=HARD)

    def _network_loss(
        self, network: nn.Module, image: Tensor, mask: Tensor
    ) -> tuple[Tensor, float]:
        """L_rec, and the mean error of the finest output where the image was erased."""
        errors = self._errors(network, image, mask)
        finest = errors[-2] if len(errors) > 1 else errors[-1]
        return reconstruction_loss(errors, mask), masked_mean(finest, 1 - mask).item()

    def _errors(self, network: nn.Module, image: Tensor, mask: Tensor) -> list[Tensor]:
        """Squared errors (N, 1, H, W) of every output, the edge branch's last."""
        output = self._outputs(network, image * mask)
        outputs = [*output.side_outputs, *([] if output.edge is None else [output.edge])]
        return [self._error(picture.float(), image) for picture in outputs]

    def _error(self, picture: Tensor, image: Tensor) -> Tensor:
        """Squared error of every pixel of ``picture``, which fills in ``image``."""
        target = _smooth(image) if self.rules.smooth else image
        return reconstruction_error(picture, target, limit=self.rules.limit)

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
        scores, divergence = coach(image)
        if not self.rules.settled:
            loss = self._coach_loss(network, image, scores.float(), divergence)
        else:
            with batch_statistics(network):
                loss = self._coach_loss(network, image, scores.float(), divergence)
        return optimise(fabric, coach, self.optimizers["coach"], loss) if learns else loss.item()

    def _coach_loss(
        self, network: nn.Module, image: Tensor, scores: Tensor, divergence: Tensor
    ) -> Tensor:
        size = (image.shape[-2], image.shape[-1])
        if not self.rules.through:
            soft = keep_mask(scores, 0.5, size)
            erased = 1 - keep_mask(random_scores(image, self.settings.block), 0.5, size, alpha=HARD)
            with torch.no_grad():
                error = torch.stack(self._errors(network, image, 1 - erased)).mean(0)
                error = error / masked_mean(error, erased)
            return 1 - masked_mean(error, (1 - soft) * erased)
        soft = keep_mask(scores, PAPER_KEEP, size)
        errors = self._errors(network, image, soft)
        if not self.rules.variational:
            return 1 - reconstruction_loss(errors, soft)
        reward = torch.stack([masked_mean(error, 1 - soft) for error in errors]).sum()
        return 1 - reward + 1e-6 * divergence

    def _hardness(self, fabric: Fabric, number: int, rng: np.random.Generator) -> dict[str, float]:
        """The network's error under random masks and under the coach's, on the same slices.

        Whether the coach makes it harder: both erase the same share, without noise. Beside each is
        its floor, the error of plain Laplace filling: whether the network has learned anything.
        """
        network = self.networks["segmentation"].eval()
        image = self._images(fabric, rng.permutation(len(self.store))[:COMPARED], rng)
        errors = {}
        with torch.no_grad(), batch_statistics(network):
            for name in ("coach", "random") if "coach" in self.networks else ("random",):
                mask = self._mask(image, number, guided=name == "coach", measured=True)
                errors[f"{name}_mask_error"] = self._network_loss(network, image, mask)[1]
                filled = self._error(laplace.fill(image, mask), image)
                errors[f"{name}_mask_floor"] = masked_mean(filled, 1 - mask).item()
        return errors

    def _rate(self, progress: float, epoch: int) -> float:
        if not self.paper:
            return learning_rate(self.config.training, progress, epoch)
        if epoch >= self.settings.random_epochs:
            return 1e-5
        within = epoch / max(self.settings.random_epochs, 1)
        return 0.1 if within < 0.4 else 1e-2 if within < 0.8 else 1e-3 if within < 0.9 else 1e-4


def coach_batches(settings: PretrainingConfig, batches: int) -> int:
    """On how many of an epoch's batches our coach learns."""
    return max(1, round(batches * settings.coach_batches))


def reconstruction_loss(errors: list[Tensor], mask: Tensor) -> Tensor:
    """L_rec: errors (N, 1, H, W) of every output, the edge branch's last, where ``mask`` erases.

    The surroundings count little. The published loop overwrites their term, so that only the edge
    output's counts.
    """
    erased = torch.stack([masked_mean(error, 1 - mask) for error in errors])
    return ERASED * erased.sum() + CONTEXT * masked_mean(errors[-1], mask)


def erased_share(settings: PretrainingConfig, epoch: int, epochs: int, rules: Rules) -> float:
    """The share of blocks that is erased at ``epoch``: growing evenly, or the paper's quarter."""
    if not rules.grows:
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
