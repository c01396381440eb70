"""The severity category: none, mild, moderate or severe, from published cut-offs, or withheld."""

from collections.abc import Collection, Sequence
from typing import Literal, get_args

from lungscore.severity.edges import FLOOR_PERCENT
from lungscore.severity.scores import CT_SS_CUTOFF, SCORE_TITLES, Score

Category = Literal["none", "mild", "moderate", "severe"]

#: From the mildest to the gravest.
CATEGORIES: tuple[Category, ...] = get_args(Category)

#: Infected percent of both lungs above which MosMed speaks of moderate (CT-2) and severe (CT-3).
MODERATE_ABOVE, SEVERE_ABOVE = 25.0, 50.0

#: Lungs of an infant to a tall adult in deep inspiration; beyond it the lung mask is not trusted.
LUNG_LITRES = (0.3, 10.0)
#: Adults' lungs on CT are rarely smaller; a child's are. Worth a warning.
SMALL_LUNG_LITRES = 1.0

#: Percent of the lungs that must lie in a lobe of the lobe mask: below the first there is a notice
#: (a mask of another tool differs by a voxel at the pleura, not by more), below the second the
#: scores by lobe and region are of too small a part to stand for the lungs.
LOBES_COMPLETE, LOBES_SUFFICIENT = 98.0, 60.0

#: Why a category is withheld: code -> the sentence. All codes are notices (errors.NOTICES).
WITHHOLDING: dict[str, str] = {
    "lungs-doubtful": "the lung mask is too doubtful",
    "lung-volume": "the lung volume is outside 0.3–10 litres, so the lung mask is doubtful",
    "truncated-scan": "the scan does not contain the whole lungs",
    "slices-replaced": "faulty slices were replaced by interpolated ones",
    "coarse-pixels": "the pixels are too coarse to distinguish infection from lung",
    "unlike-training": "the images are unlike the training images",
    "single-slice": "one slice says nothing about the whole lungs",
    "unknown-orientation": "right and left are unknown, and so are lobes and regions",
    "lobes-incomplete": "less than 60 % of the lungs lie in a lobe of the lobe mask",
    "not-computable": "a number it depends on could not be computed",
    "uncertain-infection": "the network is too uncertain about the infection",
}

#: Why "none" is withheld, and no other category: lungs that are not whole, or not trusted, may
#: hold infection that nobody has looked for. code -> the sentence.
UNTRUSTED: dict[str, str] = {
    "one-lung": "only one lung was found",
    "dense-outside-lungs": "dense tissue beside the lungs may be lung",
    "air-outside-lungs": "air beside the lungs may be lung",
    "lesions-outside": "much of the opacity lies outside the lungs that were given",
    "lungs-disagree": "two methods differ about the lungs",
    "lungs-outline": "the outline of the lungs cuts dense tissue",
    "lungs-uneven": "a lung is broken in some slices",
    "lungs-cut-sideways": "the field of view cuts the lungs off",
    "slices-abrupt": "slices may be missing",
    "lung-density": "lung outside the detected opacity is unusually dense",
}

#: Those after which not even "infected or not" is said of the patient.
UNSUITABLE = frozenset(
    {
        "lungs-doubtful",
        "lung-volume",
        "truncated-scan",
        "coarse-pixels",
        "unlike-training",
        "single-slice",
        *UNTRUSTED,
    }
)

RULE = (
    "none: infection below 1 % of lungs that are whole and trusted; severe: CT-SS above 19.5 "
    "(Yang 2020) or infection above 50 % of the lungs (MosMed CT-3, CT-4); moderate: infection "
    "above 25 % (MosMed CT-2); mild: all else"
)


def categorise(infection_percent: float, regions_score: Score) -> tuple[Category, str]:
    """The category and the sentence that says why.

    infection_percent: 0–100, of both lungs. regions_score: CT-SS with a total.
    """
    if regions_score.total is None:
        raise ValueError("a category needs a CT-SS")
    extent = f"opacity of {infection_percent:.1f} % of the lungs"
    if infection_percent < FLOOR_PERCENT:
        return "none", f"{extent} is below the floor of 1 %"
    if infection_percent > SEVERE_ABOVE:
        return "severe", f"{extent} is above 50 % (MosMed CT-3 or CT-4)"
    if regions_score.total > CT_SS_CUTOFF:
        reason = f"CT-SS {regions_score.total} is above the cut-off of 19.5 (Yang 2020)"
        if infection_percent <= MODERATE_ABOVE:
            # CT-SS counts a region with 2 % like one with 49 %: many faint regions add up.
            reason += f", with many lightly affected regions: {extent}"
        return "severe", reason
    if infection_percent > MODERATE_ABOVE:
        return "moderate", f"{extent} is above 25 % (MosMed CT-2), CT-SS not above 19.5"
    return "mild", f"{extent} is at most 25 % (MosMed CT-1), CT-SS not above 19.5"


def outcomes_text(
    category: Category,
    categories: Sequence[Category],
    infection_percents: tuple[float, float] | None,
) -> str:
    """ "mild, or severe by CT-SS": the category, what else it may be, and what tips it.

    categories: all outcomes. infection_percents: lowest and highest of them, 0–100; None where
    unknown.
    """
    outcomes: list[str] = [category]
    for outcome in categories:
        if outcome != category:
            outcomes.append(f"{outcome} by {_tip(category, outcome, infection_percents)}")
    return ", or ".join(outcomes)


def _tip(
    category: Category, outcome: Category, infection_percents: tuple[float, float] | None
) -> str:
    """What decides between two categories: only CT-SS calls severe what is not above 50 %."""
    highest = 100.0 if infection_percents is None else infection_percents[1]
    by_ct_ss = "severe" in (category, outcome) and highest <= SEVERE_ABOVE
    return SCORE_TITLES["ct_ss"] if by_ct_ss else "extent"


def withheld_codes(
    *,
    lungs_ml: float | None,
    depth: int,
    sides_known: bool,
    in_lobes_percent: float | None = None,
    notice_codes: Collection[str],
) -> tuple[str, ...]:
    """Codes of WITHHOLDING that hold, in its order; without those that only the scores tell.

    in_lobes_percent: how much of the lungs lies in a lobe; None without a lobe mask.
    notice_codes: codes already noted about the scan; those that are not reasons are ignored
    (a noted ``lung-volume`` may be a mere warning: the volume itself decides).
    """
    codes = set(notice_codes) & {
        "lungs-doubtful",
        "truncated-scan",
        "slices-replaced",
        "coarse-pixels",
        "unlike-training",
        "single-slice",
        "unknown-orientation",
    }
    low, high = LUNG_LITRES
    if lungs_ml is not None and not low <= lungs_ml / 1000 <= high and depth > 1:
        codes.add("lung-volume")
    if depth == 1:
        codes.add("single-slice")
    if not sides_known:
        codes.add("unknown-orientation")
    if in_lobes_percent is not None and in_lobes_percent < LOBES_SUFFICIENT:
        codes.add("lobes-incomplete")
    return tuple(code for code in WITHHOLDING if code in codes)
