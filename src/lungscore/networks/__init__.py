"""Segmentation networks (torch only)."""

from lungscore.networks.covid_segnet import COVIDSegNet
from lungscore.networks.encoders import ENCODERS
from lungscore.networks.inf_net import InfNet
from lungscore.networks.irrcnn import IRRCNN
from lungscore.networks.lesion_inf_net import LesionInfNet
from lungscore.networks.lung_net import LungNet, LungProbabilities
from lungscore.networks.nabla_n import NablaN
from lungscore.networks.output import InfNetOutput, NetworkOutput, PlainOutput
from lungscore.networks.probabilities import (
    InfectionProbability,
    LesionProbabilities,
    lesion_input,
    normalise,
)
from lungscore.networks.registry import (
    LESION_NETWORKS,
    NETWORKS,
    SLICE_DETECTOR,
    WITH_ENCODER,
    make_network,
)
from lungscore.networks.u_net import MultiInfNet, UNet

__all__ = [
    "ENCODERS",
    "IRRCNN",
    "LESION_NETWORKS",
    "NETWORKS",
    "SLICE_DETECTOR",
    "WITH_ENCODER",
    "COVIDSegNet",
    "InfNet",
    "InfNetOutput",
    "InfectionProbability",
    "LesionInfNet",
    "LesionProbabilities",
    "LungNet",
    "LungProbabilities",
    "MultiInfNet",
    "NablaN",
    "NetworkOutput",
    "PlainOutput",
    "UNet",
    "lesion_input",
    "make_network",
    "normalise",
]
