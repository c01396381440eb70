"""Every network for slices by its name."""

from collections.abc import Callable

from torch import nn

from lungscore.networks.covid_segnet import COVIDSegNet
from lungscore.networks.inf_net import InfNet
from lungscore.networks.irrcnn import IRRCNN
from lungscore.networks.lesion_inf_net import LesionInfNet
from lungscore.networks.lung_net import LungNet
from lungscore.networks.nabla_n import NablaN
from lungscore.networks.slim_inf_net import SlimInfNet
from lungscore.networks.u_net import MultiInfNet, UNet

#: Networks by the name an experiment file uses, made from the name of an encoder and a base width,
#: of which each uses the one it has. Single-class ones take normalised grey levels (N, 1, H, W) and
#: give logits (N, 1, H, W); those in LESION_NETWORKS take ``lesion_input`` (N, 2, H, W) and give
#: logits (N, 3, H, W). All return an object with ``side_outputs`` and ``edge`` (None: no edge).
NETWORKS: dict[str, Callable[[str, int], nn.Module]] = {
    "inf-net": lambda encoder, base_width: InfNet(encoder),
    "finer-inf-net": lambda encoder, base_width: InfNet(encoder, finer=True),
    "slim-inf-net": lambda encoder, base_width: SlimInfNet(encoder, consolidation=False),
    "u-net": lambda encoder, base_width: UNet(base_width=base_width),
    "covid-segnet": lambda encoder, base_width: COVIDSegNet(base_width=base_width),
    "nabla-n": lambda encoder, base_width: NablaN(base_width=base_width),
    "lesion-inf-net": lambda encoder, base_width: LesionInfNet(encoder),
    "finer-lesion-inf-net": lambda encoder, base_width: LesionInfNet(encoder, finer=True),
    "multi-inf-net": lambda encoder, base_width: MultiInfNet(base_width=base_width),
}

#: The network that finds lungs: no experiment file trains it (experiments/lungs does).
LUNG_NETWORK = "lung-net"

#: The network that says of a whole slice whether it is infected: it gives one logit a slice (N,),
#: and experiments/detection_irrcnn.py trains it.
SLICE_DETECTOR = "irrcnn"

#: Which of those for infection have an encoder of a chosen name, and Inf-Net's partial decoder.
WITH_ENCODER = ("inf-net", "finer-inf-net")

#: Which of them tell GGO from consolidation.
LESION_NETWORKS = ("lesion-inf-net", "finer-lesion-inf-net", "multi-inf-net")


def make_network(name: str, *, encoder: str = "resnet18", base_width: int = 64) -> nn.Module:
    """A network with random weights; 64 is the published base width. Raises KeyError."""
    if name == LUNG_NETWORK:
        return LungNet()
    if name == SLICE_DETECTOR:
        return IRRCNN(base_width=base_width)
    return NETWORKS[name](encoder, base_width)
