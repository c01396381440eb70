"""Agreement of three raters or more against published examples and loops written out by hand."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lungscore.statistics import bootstrap
from lungscore.statistics.agreement import icc_agreement, icc_consistency, weighted_kappa
from lungscore.statistics.several_raters import all_agree, krippendorff_alpha, mean_kappa

#: Six targets and four judges: Shrout and Fleiss, Psychol Bull 1979;86:420–428, table 2.
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)
_ = np.nan
#: Four observers and twelve units: Krippendorff, "Computing Krippendorff's alpha-reliability", C.
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
        [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
    ]
).T

ratings_of_three = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=20
)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "RESAMPLES", 300)


def test_intraclass_correlations_of_four_judges_are_those_of_shrout_and_fleiss() -> None:
    agreement, consistency = icc_agreement(SHROUT_FLEISS), icc_consistency(SHROUT_FLEISS)
    assert agreement.value == pytest.approx(0.29, abs=0.005)
    assert consistency.value == pytest.approx(0.71, abs=0.005)
    # The interval that McGraw and Wong's formula gives, as R's irr and psych print it.
    assert (agreement.low, agreement.high) == pytest.approx((0.019, 0.761), abs=0.001)


def test_intraclass_correlation_of_three_is_that_of_the_analysis_of_variance_by_hand() -> None:
    ratings = SHROUT_FLEISS[:, [0, 2, 3]]
    n, k = ratings.shape
    mean = ratings.mean()
    between = sum(k * (row.mean() - mean) ** 2 for row in ratings)
    raters = sum(n * (column.mean() - mean) ** 2 for column in ratings.T)
    rest = sum((value - mean) ** 2 for value in ratings.ravel()) - between - raters
    msr, msc, mse = between / (n - 1), raters / (k - 1), rest / ((n - 1) * (k - 1))
    by_hand = (msr - mse) / (msr + (k - 1) * mse + k * (msc - mse) / n)
    assert icc_agreement(ratings).value == pytest.approx(by_hand)


@given(ratings_of_three)
@settings(max_examples=30, deadline=None)
def test_the_mean_kappa_is_the_mean_over_pairs(rows: list[tuple[int, int, int]]) -> None:
    ratings = np.array(rows, float)
    pairs = [
        weighted_kappa(ratings[:, i], ratings[:, j], highest=4, weights="quadratic").value
        for i, j in combinations(range(3), 2)
    ]
    mean = mean_kappa(ratings, highest=4, weights="quadratic")
    if None in pairs:
        assert mean.value is None
        assert mean.reason
    else:
        assert mean.value == pytest.approx(np.mean([pair for pair in pairs if pair is not None]))
        assert mean.low is None or mean.high is None or mean.low <= mean.high


def test_the_mean_kappa_of_two_raters_is_their_kappa_with_its_interval() -> None:
    pair = SHROUT_FLEISS[:, :2]
    expected = weighted_kappa(pair[:, 0], pair[:, 1], highest=10, weights="linear")
    assert mean_kappa(pair, highest=10, weights="linear") == expected


def test_the_interval_of_the_mean_kappa_draws_whole_cases() -> None:
    """The ends are those of a loop over cases drawn with the same counts of equal rows."""
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 5, 60)
    ratings = np.clip(truth[:, None] + rng.integers(-1, 2, (60, 3)), 0, 4).astype(float)
    mean = mean_kappa(ratings, highest=4, weights="quadratic")
    drawn = []
    for _ in range(300):
        sample = ratings[rng.integers(0, 60, 60)]
        kappas = [_kappa(sample[:, i], sample[:, j]) for i, j in combinations(range(3), 2)]
        drawn.append(np.mean(kappas))
    assert (mean.low, mean.high) == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.03)


def _kappa(a: np.ndarray, b: np.ndarray) -> float:
    observed = ((a - b) ** 2).mean()
    return float(1 - observed / ((a[:, None] - b[None]) ** 2).mean())


def test_alpha_is_that_of_krippendorffs_example() -> None:
    alpha = krippendorff_alpha(KRIPPENDORFF)
    assert alpha.value == pytest.approx(0.815, abs=0.0005)
    assert alpha.n == 11  # the last unit has one value


@given(ratings_of_three)
@settings(max_examples=50, deadline=None)
def test_alpha_is_that_of_the_table_of_coincidences(rows: list[tuple[int, int, int]]) -> None:
    ratings = np.array(rows, float)
    ratings[::4, 2] = np.nan
    alpha = krippendorff_alpha(ratings)
    expected = _alpha_of_coincidences(ratings)
    if np.isnan(expected):
        assert alpha.value is None
        assert alpha.reason == "all values of all raters are the same"
    else:
        assert alpha.value == pytest.approx(expected, abs=1e-9)


def _alpha_of_coincidences(ratings: np.ndarray) -> float:
    """Krippendorff's own way: a table of coincidences and ordinal distances between its classes."""
    table = np.zeros((5, 5))
    for row in ratings:
        values = row[~np.isnan(row)].astype(int)
        for i, j in combinations(range(len(values)), 2):
            table[values[i], values[j]] += 1 / (len(values) - 1)
            table[values[j], values[i]] += 1 / (len(values) - 1)
    counts = table.sum(axis=0)
    total = counts.sum()
    observed = expected = 0.0
    for c, k in combinations(range(5), 2):
        distance = (counts[c : k + 1].sum() - (counts[c] + counts[k]) / 2) ** 2
        observed += table[c, k] * distance
        expected += counts[c] * counts[k] * distance
    return 1 - (total - 1) * observed / expected if expected else float("nan")


def test_alpha_of_many_cases_is_as_exact_as_that_of_few() -> None:
    """Each case a thousand times over: the table of coincidences holds whole numbers then."""
    rows = np.array([[0, 1, 4], [1, 1, 2], [4, 4, 3], [2, 2, 2], [0, 0, 1]], float)
    many = np.tile(rows, (1000, 1))
    expected = _alpha_of_coincidences(many)
    assert krippendorff_alpha(many).value == pytest.approx(expected, abs=1e-12)


def test_perfect_agreement_is_one_without_an_interval() -> None:
    ratings = np.repeat([[0], [1], [2], [4], [4]], 3, axis=1)
    for estimate in (
        mean_kappa(ratings, highest=4, weights="linear"),
        krippendorff_alpha(ratings),
    ):
        assert estimate.value == pytest.approx(1)
        assert (estimate.low, estimate.high) == (None, None)
        assert estimate.reason
    assert all_agree(ratings).value == 1


def test_what_all_raters_gave_alike_is_counted_over_all() -> None:
    share = all_agree(np.array([[1, 1, 1], [1, 1, 2], [2, 3, 2], [4, 4, 4]]))
    assert share.value == 0.5
    assert share.low is not None
    assert share.low < 0.5


def test_three_cases_are_enough_and_two_are_too_few() -> None:
    three = np.array([[1, 1, 1], [1, 1, 2], [4, 3, 4]])
    for agreement in (all_agree, krippendorff_alpha):
        assert agreement(three).value is not None
        few = agreement(three[:2])
        assert (few.value, few.n, few.reason) == (None, 2, "fewer than 3 cases")


@pytest.mark.parametrize(
    ("ratings", "reason"),
    [
        (np.ones((2, 3)), "fewer than 3 cases"),
        (np.array([[1, 1, 0], [1, 1, 2], [1, 1, 3]]), "two raters gave every case the same"),
    ],
)
def test_a_mean_kappa_that_is_not_defined_says_why(ratings: np.ndarray, reason: str) -> None:
    estimate = mean_kappa(ratings, highest=4, weights="quadratic")
    assert estimate.value is None
    assert reason in (estimate.reason or "")


def test_classes_that_cannot_be_are_refused() -> None:
    for ratings in ([[5, 1], [1, 1], [0, 0]], [[0.5, 1], [1, 1], [0, 0]], [1, 2, 3]):
        with pytest.raises(ValueError, match=r"raters\)|whole numbers"):
            mean_kappa(np.array(ratings, float), highest=4, weights="linear")
