"""Tasks without labels, other than inpainting: a file each, chosen by pretraining.task."""

from lungscore.learning.pretexts.clusters import ClusterLabels
from lungscore.learning.pretexts.masked_modelling import MaskedModelling
from lungscore.learning.pretexts.rotation import Rotation

__all__ = ["ClusterLabels", "MaskedModelling", "Rotation"]
