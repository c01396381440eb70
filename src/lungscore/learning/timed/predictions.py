"""What a network finds: in annotated slices it never saw, and in slices that nobody labelled."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lungscore.learning.timed.pack import HEIGHT, WIDTH, Slices
from lungscore.learning.timed.slices import SliceStore
from lungscore.scan.window import resize, window

#: In how large boxes a lone slice is seen, as multiples of its own, each mirrored too
#: (inference.views).
WIDER = (1.0, 1.14, 1.33)


@torch.inference_mode()
def label(networks: Sequence[nn.Module], store: SliceStore, indices: Tensor) -> None:
    """Give slices of the store the mean of networks and mirror images as their soft labels.

    networks: grey 0…1 (N, 1, H, W) to probabilities (N, 2, H, W).
    """
    for some in indices.split(64):
        grey = store.seen(some)
        predictions = [_both_ways(network, grey) for network in networks]
        mean = torch.stack(predictions).mean(0)
        store.label(some, functional.interpolate(mean, (HEIGHT, WIDTH), mode="bilinear"))


@torch.inference_mode()
def of_annotated(
    network: nn.Module,
    slices: Slices,
    names: Sequence[str],
    device: torch.device,
    size: tuple[int, int] = (256, 320),
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, 2, *size) float32 of published crops: in one view, and in all of WIDER."""
    images = [resize(window(slices.exact[name], 0, 255), *size) for name in names]
    grey = torch.from_numpy(np.stack(images).copy())[:, None].to(device)
    views = [_both_ways(network, grey)]
    single = network(grey).float()
    for times in WIDER[1:]:
        wider = _scaled(grey, times)
        views.append(_scaled(_both_ways(network, wider), 1 / times))
    return single.cpu().numpy(), torch.stack(views).mean(0).cpu().numpy()


def _both_ways(network: nn.Module, grey: Tensor) -> Tensor:
    mirrored: Tensor = network(grey.flip(-1)).float().flip(-1)
    both: Tensor = (network(grey).float() + mirrored) / 2
    return both


def _scaled(maps: Tensor, times: float) -> Tensor:
    """The same size, showing ``times`` as much in each direction; black beyond the border."""
    matrix = torch.tensor([[times, 0.0, 0.0], [0.0, times, 0.0]], device=maps.device)
    grid = functional.affine_grid(
        matrix.expand(len(maps), 2, 3), list(maps.shape), align_corners=False
    )
    return functional.grid_sample(maps, grid, align_corners=False)


def dice(predicted: np.ndarray, true: np.ndarray) -> float:
    """2 |A ∩ B| / (|A| + |B|); NaN where both are empty."""
    total = int(predicted.sum()) + int(true.sum())
    return 2 * int((predicted & true).sum()) / total if total else float("nan")


def quick_figures(maps: np.ndarray, slices: Slices, names: Sequence[str]) -> dict[str, float]:
    """Mean Dice at 0.5 of infection, GGO and consolidation at the network's size, to look at early.

    maps: (n, 2, H, W).
    """
    figures: dict[str, list[float]] = {"infection": [], "ggo": [], "consolidation": []}
    for probability, name in zip(maps, names, strict=True):
        height, width = probability.shape[-2:]
        classes = slices.truth[name]
        true, dense = (
            resize((classes >= least).astype(np.float32), height, width) >= 0.5 for least in (1, 2)
        )
        infected = probability[0] >= 0.5
        solid = infected & (probability[1] >= 0.5)
        figures["infection"].append(dice(infected, true))
        for key, predicted, truth in (
            ("ggo", infected & ~solid, true & ~dense),
            ("consolidation", solid, true & dense),
        ):
            if truth.any():
                figures[key].append(dice(predicted, truth))
    return {key: float(np.mean(values)) for key, values in figures.items() if values}
