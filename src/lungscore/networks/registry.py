"""Every network for slices by its name."""

from collections.abc import Callable

from torch import nn

from lungscore.networks.covid_segnet import COVIDSegNet
from lungscore.networks.inf_net import InfNet
from lungscore.networks.lesion_inf_net import LesionInfNet
from lungscore.networks.lung_net import LungNet, LungProbabilities
from lungscore.networks.probabilities import InfectionProbability, LesionProbabilities
from lungscore.networks.slim_inf_net import InfectionAndConsolidation, SlimInfNet
from lungscore.networks.u_net import MultiInfNet, UNet

#: Networks by the name an experiment file uses, made from the name of an encoder and a base width,
#: of which each uses the one it has. Single-class ones take normalised grey levels (N, 1, H, W) and
#: give logits (N, 1, H, W); those in LESION_NETWORKS take ``lesion_input`` (N, 2, H, W) and give
#: logits (N, 3, H, W). All return an object with ``side_outputs`` and ``edge`` (None: no edge).
NETWORKS: dict[str, Callable[[str, int], nn.Module]] = {
    "inf-net": lambda encoder, base_width: InfNet(encoder),
    "finer-inf-net": lambda encoder, base_width: InfNet(encoder, finer=True),
    "u-net": lambda encoder, base_width: UNet(base_width=base_width),
    "covid-segnet": lambda encoder, base_width: COVIDSegNet(base_width=base_width),
    "lesion-inf-net": lambda encoder, base_width: LesionInfNet(encoder),
    "finer-lesion-inf-net": lambda encoder, base_width: LesionInfNet(encoder, finer=True),
    "multi-inf-net": lambda encoder, base_width: MultiInfNet(base_width=base_width),
}

#: Networks that no experiment file trains: one for lungs (experiments/lungs trains it), and one for
#: infection and consolidation (learning.timed does).
LUNG_NETWORK, SLIM_NETWORK = "lung-net", "slim-inf-net"

#: Which of them tell GGO from consolidation.
LESION_NETWORKS = ("lesion-inf-net", "finer-lesion-inf-net", "multi-inf-net")


def make_network(name: str, *, encoder: str = "resnet18", base_width: int = 64) -> nn.Module:
    """A network with random weights; 64 is the published base width. Raises KeyError."""
    if name == LUNG_NETWORK:
        return LungNet()
    if name == SLIM_NETWORK:
        return SlimInfNet(encoder)
    return NETWORKS[name](encoder, base_width)


def with_probabilities(network: nn.Module, target: str, *, temperature: float = 1.0) -> nn.Module:
    """``network`` as inference needs it, giving probabilities, ready to be asked.

    target: what it is for (inference.bundle.Target). temperature: divides the logits of infection.
    Raises ValueError for a temperature of a network that does not find infection.
    """
    if target == "infection":
        return InfectionProbability(network, temperature).eval()
    if target == "classes":
        return InfectionAndConsolidation(network, temperature).eval()
    if temperature != 1:
        raise ValueError(f"networks for {target} have no temperature")
    wraps = {"lesions": LesionProbabilities, "lungs": LungProbabilities}
    return wraps[target](network).eval()
