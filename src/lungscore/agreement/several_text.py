"""Figures of three raters or more as a person reads them, and all of them as plain text."""

from typing import TYPE_CHECKING

from lungscore.agreement.text import coefficient_text, share_text, table_lines
from lungscore.statistics.bootstrap import RESAMPLES, SEED
from lungscore.version import RESEARCH_USE, __version__

if TYPE_CHECKING:
    from lungscore.agreement.several import AgreementOfSeveral


def listed(names: tuple[str, ...]) -> str:
    """ "A, B and C"."""
    return f"{', '.join(names[:-1])} and {names[-1]}"


def text_table_of_several(agreement: "AgreementOfSeveral") -> str:
    """The agreement of all raters in plain text, for a terminal."""
    head = ("measure", "n", "ICC(2,1)", "mean κ quadratic", "α ordinal", "the same")
    rows = [
        (
            agreed.measure.name,
            str(agreed.n),
            coefficient_text(agreed.icc_2_1),
            coefficient_text(agreed.kappa_quadratic),
            coefficient_text(agreed.alpha),
            share_text(agreed.exact),
        )
        for agreed in agreement.measures
    ]
    return table_lines(
        f"{listed(agreement.names)}, {len(agreement.cases)} cases: {RESEARCH_USE}",
        "figures are over all raters, intervals are 95 %; the report has every pair",
        [head, *rows],
        agreement.notices,
    )


def methods_of_several(agreement: "AgreementOfSeveral") -> str:
    """A paragraph for the methods section of an article: what was computed, and how."""
    kinds = {agreed.measure.kind for agreed in agreement.measures if agreed.n}
    sentences = [
        f"Agreement between {len(agreement.raters)} raters ({listed(agreement.names)}) was "
        f"assessed in {len(agreement.cases)} cases with lungscore {__version__}."
    ]
    if kinds & {"number", "total"}:
        sentences.append(
            "For continuous measures and total scores we report the intraclass correlation "
            "coefficient over all raters, two-way random for absolute agreement, ICC(2,1), of a "
            "single rater (Shrout and Fleiss 1979; McGraw and Wong 1996), and for each pair of "
            "raters the mean difference and the 95 % limits of agreement (Bland and Altman 1986) "
            "with exact confidence intervals (Carkeet 2015)."
        )
    if kinds & {"total", "class"}:
        sentences.append(
            "For scores and ordered classes we report the mean of the pairwise weighted kappas "
            "with quadratic weights (Cohen 1968; Light 1971) and Krippendorff's alpha for ordinal "
            f"data (Krippendorff 2004), with percentile bootstrap intervals ({RESAMPLES} resamples "
            f"of cases, seed {SEED}), and the share of cases that all raters rated identically, "
            "with Wilson intervals."
        )
    sentences.append(
        "Intervals are 95 %. Cases without a value from every rater were left out of that measure, "
        "save for alpha, which uses all cases with at least two values."
    )
    return " ".join(sentences)
