"""Segmentation networks (torch only)."""

from lungscore.networks.covid_segnet import COVIDSegNet
from lungscore.networks.encoders import ENCODERS
from lungscore.networks.inf_net import InfNet
from lungscore.networks.lesion_inf_net import LesionInfNet
from lungscore.networks.lung_net import LungNet, LungProbabilities
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
    SLIM_NETWORK,
    make_network,
    with_probabilities,
)
from lungscore.networks.slim_inf_net import InfectionAndConsolidation, SlimInfNet
from lungscore.networks.u_net import MultiInfNet, UNet

__all__ = [
    "ENCODERS",
    "LESION_NETWORKS",
    "NETWORKS",
    "SLIM_NETWORK",
    "COVIDSegNet",
    "InfNet",
    "InfNetOutput",
    "InfectionAndConsolidation",
    "InfectionProbability",
    "LesionInfNet",
    "LesionProbabilities",
    "LungNet",
    "LungProbabilities",
    "MultiInfNet",
    "NetworkOutput",
    "PlainOutput",
    "SlimInfNet",
    "UNet",
    "lesion_input",
    "make_network",
    "normalise",
    "with_probabilities",
]
