"""The published CT severity scores, each a pure function of infected percents.

Every function takes the percent (0–100) of each part that is infected; None marks a part that
could not be measured. A total needs all of its parts: with one missing it is None and
``reason`` says which. Edges are in ``edges.py``; docs/severity.md explains each score.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from lungscore.labels import LOBE_ORDER, REGIONS
from lungscore.severity.edges import highest_score, near_floor, score_part

Percents = Mapping[str, float | None]

#: Yang et al. 2020: CT-SS above 19.5 of 40 told severe from mild disease (sensitivity 83.3 %,
#: specificity 94 %; 102 patients).
CT_SS_CUTOFF = 19.5

#: What readers call the scores.
SCORE_TITLES = {
    "ct_ss": "CT-SS",
    "tss": "TSS",
    "ctsi": "CTSI",
    "lss": "LSS",
    "lhos": "LHOS",
    "zones": "six-zone score",
    "po": "PO",
    "pho": "PHO",
    "mosmed": "MosMed class",
}

ZONES = tuple(
    f"{side} {height}" for side in ("right", "left") for height in ("upper", "middle", "lower")
)

_REGION_NAMES = tuple(name for name, _ in REGIONS)
_NO_PARTS: Mapping[str, "PartScore"] = MappingProxyType({})


@dataclass(frozen=True)
class PartScore:
    """One part of a score: percent 0–100 and its score, both None where not measured."""

    percent: float | None
    score: int | None

    @property
    def near_edge(self) -> bool:
        """Whether the percent is so near the floor that the score may be chance."""
        return near_floor(self.percent)


@dataclass(frozen=True)
class Score:
    """A sum over parts.

    total: the sum, 0–``maximum``; None where a part is missing, and ``reason`` says why.
    cutoff: a published cut-off between severe and not, where there is one.
    """

    total: int | None
    maximum: int
    cutoff: float | None = None
    parts: Mapping[str, PartScore] = field(default_factory=lambda: _NO_PARTS)
    reason: str | None = None

    @property
    def above_cutoff(self) -> bool | None:
        """Whether the total lies above the cut-off; None without either."""
        if self.total is None or self.cutoff is None:
            return None
        return self.total > self.cutoff

    @property
    def near_edge(self) -> tuple[str, ...]:
        """Names of the parts that are near the floor."""
        return tuple(name for name, part in self.parts.items() if part.near_edge)

    @property
    def total_cleared(self) -> int | None:
        """The total if nothing were infected in the parts near the floor; None without a total."""
        if self.total is None:
            return None
        return self.total - sum(self.parts[name].score or 0 for name in self.near_edge)


def ct_ss(regions: Percents) -> Score:
    """CT severity score, 0–40: 20 regions, each 0 (< 1 %), 1 (< 50 %) or 2 (≥ 50 % infected).

    Yang R et al., "Chest CT severity score: an imaging tool for assessing severe COVID-19",
    Radiology: Cardiothoracic Imaging 2020;2(2):e200047. Cut-off for severe: 19.5.
    """
    return _sum("ct_ss", regions, _REGION_NAMES, cutoff=CT_SS_CUTOFF)


def tss(lobes: Percents) -> Score:
    """Total severity score, 0–20: five lobes, each 0–4 by quarters.

    Chung M et al., "CT imaging features of 2019 novel coronavirus (2019-nCoV)", Radiology
    2020;295:202–207.
    """
    return _sum("tss", lobes, LOBE_ORDER)


def ctsi(lobes: Percents) -> Score:
    """CT score of Pan, 0–25: five lobes, each 0–5 with edges at 1, 5, 25, 50 and 75 %.

    Pan F et al., "Time course of lung changes at chest CT during recovery from coronavirus
    disease 2019 (COVID-19)", Radiology 2020;295:715–721.
    """
    return _sum("ctsi", lobes, LOBE_ORDER)


def lss(lobes: Percents) -> Score:
    """Lung severity score, 0–20: five lobes, each 0–4 by quarters of all opacity.

    Chaganti S et al., "Automated quantification of CT patterns associated with COVID-19 from
    chest CT", Radiology: Artificial Intelligence 2020;2(4):e200048.
    """
    return _sum("lss", lobes, LOBE_ORDER)


def lhos(lobes: Percents) -> Score:
    """Lung high opacity score, 0–20: as ``lss``, of infection at −200 HU and denser alone.

    Chaganti et al. 2020 (see ``lss``).
    """
    return _sum("lhos", lobes, LOBE_ORDER)


def zone_score(zones: Percents) -> Score:
    """Six-zone score, 0–24: upper, middle and lower zone of each lung, each 0–4 by quarters.

    Zones after Yuan M et al., "Association of radiologic findings with mortality of patients
    infected with 2019 novel coronavirus in Wuhan, China", PLoS ONE 2020;15(3):e0230548, here
    thirds of each lung's height instead of landmarks.
    """
    return _sum("zones", zones, ZONES)


#: From none to the most.
MOSMED_CLASSES = ("CT-0", "CT-1", "CT-2", "CT-3", "CT-4")


def mosmed_class(lungs_percent: float | None) -> str | None:
    """MosMed class "CT-0" (none) to "CT-4" (> 75 %) from the infected percent of both lungs.

    Morozov SP et al., "MosMedData: chest CT scans with COVID-19 related findings dataset",
    arXiv:2005.06465 (2020). None stays None.
    """
    return None if lungs_percent is None else MOSMED_CLASSES[score_part(lungs_percent, "mosmed")]


def _sum(
    score: str, percents: Percents, names: tuple[str, ...], *, cutoff: float | None = None
) -> Score:
    parts = {}
    for name in names:
        percent = percents.get(name)
        value = None if percent is None else score_part(percent, score)
        parts[name] = PartScore(percent, value)
    missing = [name for name, part in parts.items() if part.score is None]
    maximum = len(names) * highest_score(score)
    if missing:
        reason = f"no voxels were found of {', '.join(missing)}"
        return Score(None, maximum, cutoff, parts, reason)
    total = sum(part.score for part in parts.values() if part.score is not None)
    return Score(total, maximum, cutoff, parts)
