"""The AUC and its intervals, against scikit-learn, brute force and simulated overlapping labels."""

import numpy as np
import pytest

from scripts.common.errors import StudyError
from scripts.common.statistics.auc import auc, difference, interval, midranks
from scripts.common.statistics.uniqueness import effective_rows
from tests.common import noise


def sample(seed, n=400, decimals=1):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return y, np.round(rng.normal(size=n) + 0.5 * y, decimals), rng


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_auc_with_ties_is_that_of_scikit_learn(decimals):
    from sklearn.metrics import roc_auc_score

    for seed in range(20):
        y, score, _ = sample(seed, decimals=decimals)
        assert auc(y, score) == pytest.approx(roc_auc_score(y, score), abs=1e-12)
    assert auc([0, 1], [5, 5]) == 0.5
    assert (auc([0, 1], [0, 1]), auc([1, 0], [0, 1])) == (1.0, 0.0)


def test_midranks_are_those_of_scipy():
    from scipy.stats import rankdata

    values = np.random.default_rng(0).integers(0, 30, 500)
    assert np.array_equal(midranks(values), rankdata(values))


@pytest.mark.parametrize(
    "y, score, message",
    [([1, 1], [0.1, 0.2], "both classes"), ([], [], "both classes"), ([0, 1, 1], [0.1, np.nan, 2], "1 of 3 scores")],
)
def test_what_has_no_auc_is_refused(y, score, message):
    with pytest.raises(StudyError, match=message):
        auc(y, score)


def delong_by_definition(y, a, b):
    """The covariance matrix of two AUCs from all pairs of a positive and a negative."""
    parts = []
    for score in (a, b):
        pairs = score[y == 1][:, None] - score[y == 0][None, :]
        kernel = (pairs > 0) + 0.5 * (pairs == 0)
        parts.append((kernel.mean(axis=1), kernel.mean(axis=0)))
    (a10, a01), (b10, b01) = parts
    return np.cov(a10, b10) / len(a10) + np.cov(a01, b01) / len(a01)


def test_standard_errors_are_delongs():
    y, a, rng = sample(3)
    b = a + rng.normal(size=len(a))
    covariance = delong_by_definition(y, a, b)
    one, both = interval(y, a, len(y)), difference(y, a, b, len(y))
    assert one.standard_error == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-9)
    assert both.standard_error == pytest.approx(np.sqrt([1, -1] @ covariance @ [1, -1]), rel=1e-9)
    assert both.value == pytest.approx(auc(y, a) - auc(y, b), abs=1e-12)
    assert (one.low, one.high) == pytest.approx((one.value - 1.959964 * one.standard_error, 2 * one.value - one.low))


def test_a_fifth_of_the_rows_makes_the_interval_wider_by_the_root_of_five():
    y, score, _ = sample(4)
    wide, narrow = interval(y, score, len(y) / 5), interval(y, score, len(y))
    assert wide.standard_error == pytest.approx(narrow.standard_error * np.sqrt(5))
    assert wide.value == narrow.value
    with pytest.raises(ValueError, match="effective_n is 401"):
        interval(y, score, 401)


def test_intervals_stay_within_what_an_auc_can_be():
    y = np.array([0, 0, 0, 1, 1, 1])
    almost = interval(y, np.array([1, 2, 4, 3, 5, 6.0]), 3)
    assert 0 <= almost.low < almost.value < almost.high == 1
    assert interval([0, 0, 1], [1, 2, 3], 2)[1:] == (float("inf"), 0.0, 1.0)  # one positive has no variance


def test_the_same_score_twice_differs_by_nothing():
    y, score, _ = sample(5)
    assert difference(y, score, score, 50) == (0.0, 0.0, 0.0, 0.0)


def test_intervals_cover_the_truth_where_labels_overlap_and_scores_persist():
    n, rng, covered = 1500, np.random.default_rng(0), []

    def draw(rows):
        good, bad = noise.persistent(rng, rows, 0.97), noise.persistent(rng, rows, 0.97)
        y, start, t1 = noise.overlapping(rng, rows, 12, drift=0.1 * good)
        return y, good, good + bad, effective_rows(start, t1)

    y, good, mixed, _ = draw(1_000_000)
    truth, gain = auc(y, good), auc(y, good) - auc(y, mixed)
    assert 0.58 < truth < 0.65 and gain > 0.02
    for _ in range(300):
        y, good, mixed, effective = draw(n)
        pairs = [
            (interval(y, good, effective), truth),
            (difference(y, good, mixed, effective), gain),
            (interval(y, good, n), truth),  # what counting rows would claim
        ]
        covered.append([each.low <= true <= each.high for each, true in pairs])
    single, paired, naive = np.mean(covered, axis=0)
    assert 0.92 <= single <= 0.995 and 0.92 <= paired <= 0.995
    assert naive < 0.7
