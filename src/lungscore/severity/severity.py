"""All that is measured on one scan's labels."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lungscore.errors import Notice
from lungscore.severity.aeration import Aeration
from lungscore.severity.category import Category
from lungscore.severity.distribution import Distribution
from lungscore.severity.lesions import LesionSizes
from lungscore.severity.scores import Score

#: Lowest and highest; None where the number itself is None.
Span = tuple[float, float] | None


@dataclass(frozen=True)
class Burden:
    """How much of one part of the lungs is infected.

    Percents are of the part, lesions included, 0–100; ``dense_percent`` is infection at −200 HU
    and denser. None: the part has no voxels, or no Hounsfield units are available or no voxel size.
    """

    volume_ml: float | None
    infection_ml: float | None
    infection_percent: float | None
    ggo_percent: float | None
    consolidation_percent: float | None
    dense_percent: float | None


@dataclass(frozen=True)
class Ranges:
    """The lowest and the highest of every number over all alternatives.

    alternatives: how many there are. burden, lobes: by the names of Burden's fields, and for burden
    "left_percent" and "right_percent". scores: totals by name, "po" and "pho". mosmed: the lowest
    and the highest class. categories: all that any alternative has, from mild to grave; empty where
    none has one. regions, zones: infected percents of the parts of CT-SS and of the six zones.
    moves: how often the borders of lobes were moved; 0 where they were not. border_regions,
    border_lobes: those that a moved border would score otherwise.
    """

    alternatives: int
    burden: Mapping[str, Span]
    scores: Mapping[str, Span]
    mosmed: tuple[str, str] | None
    categories: tuple[Category, ...]
    lobes: Mapping[str, Mapping[str, Span]]
    regions: Mapping[str, Span] = field(default_factory=dict)
    zones: Mapping[str, Span] = field(default_factory=dict)
    moves: int = 0
    border_regions: tuple[str, ...] = ()
    border_lobes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Severity:
    """All that was measured on one scan's labels.

    lungs, right, left: both lungs together and each; right and left None where sides are unknown.
    lobes: by LOBE_ORDER, empty where no lobe mask is available.
    slices: one per slice of the array, superior to inferior.
    ct_ss … zones: totals may be None, each with its reason. po, pho: percent of the lungs.
    aeration, lesions, distribution: each holds a reason where it has no numbers.
    category: None where withheld or not computable; ``basis`` says what it rests on, ``withheld``
        holds the codes (category.WITHHOLDING).
    infected: infection of at least 1 % of the lungs; None where the scan cannot say.
    outside_voxels: infected voxels outside the lungs, counted nowhere.
    notices: what a reader should know, among it why numbers are missing.
    ranges: of the numbers over other readings of the lesions; None where there are none.
    """

    lungs: Burden
    right: Burden | None
    left: Burden | None
    lobes: Mapping[str, Burden]
    slices: tuple[Burden, ...]
    ct_ss: Score
    tss: Score
    ctsi: Score
    lss: Score
    lhos: Score
    zones: Score
    po: float | None
    pho: float | None
    mosmed: str | None
    category: Category | None
    basis: str
    withheld: tuple[str, ...]
    infected: bool | None
    outside_voxels: int
    notices: tuple[Notice, ...]
    aeration: Aeration
    lesions: LesionSizes
    distribution: Distribution
    ranges: Ranges | None
