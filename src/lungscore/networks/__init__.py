"""Segmentation networks (torch only)."""

from lungscore.networks.encoders import ENCODERS
from lungscore.networks.inf_net import InfectionProbability, InfNet, InfNetOutput, normalise

__all__ = ["ENCODERS", "InfNet", "InfNetOutput", "InfectionProbability", "normalise"]
