"""The area under the ROC curve, its interval, and the paired comparison of two scores."""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from scripts.common.errors import StudyError


class Estimate(NamedTuple):
    """A figure with its standard error and the ends of its confidence interval."""

    value: float
    standard_error: float
    low: float
    high: float


def auc(y, score):
    """The probability that a positive outranks a negative, ties counting half (Mann-Whitney U over its maximum).

    ``y``: 0/1 ``[n]``; ``score``: numbers ``[n]``. Raises StudyError for a single class and for scores that are not
    finite: a NaN would be ranked as the best score of all.
    """
    positive, score = _checked(y, score)
    positives = int(positive.sum())
    rank_sum = midranks(score)[positive].sum()
    return float((rank_sum - positives * (positives + 1) / 2) / (positives * (len(score) - positives)))


def interval(y, score, effective_n, level=0.95):
    """The AUC as an :class:`Estimate` whose interval allows for overlapping labels.

    The standard error is DeLong's (DeLong, DeLong and Clarke-Pearson 1988) times ``sqrt(n / effective_n)``, since n
    rows with overlapping labels say as much as ``effective_n`` separate ones (:mod:`.uniqueness`). This is exact for
    scores that hardly change within a label's span, and errs on the wide side for scores that do. Clipped to [0, 1].
    A perfect separation has a DeLong error of 0.
    """
    positive, score = _checked(y, score)
    by_positive, by_negative = _placements(positive, score)
    error = _error(by_positive, by_negative, effective_n)
    return _estimate(by_positive.mean(), error, level, 0.0, 1.0)


def difference(y, a, b, effective_n, level=0.95):
    """AUC of score ``a`` minus AUC of score ``b`` on the same rows, as an :class:`Estimate` with a paired error.

    DeLong's covariance of the two, scaled as in :func:`interval`; clipped to [-1, 1].
    """
    positive, a = _checked(y, a)
    _, b = _checked(y, b)
    pairs = zip(_placements(positive, a), _placements(positive, b), strict=True)
    by_positive, by_negative = (one - two for one, two in pairs)
    error = _error(by_positive, by_negative, effective_n)
    return _estimate(by_positive.mean(), error, level, -1.0, 1.0)


def midranks(values):
    """Ranks from 1, float64 ``[n]``; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def _placements(positive, score):
    """For each positive the share of negatives below it, for each negative the share of positives above it.

    Both have the AUC as their mean; by midranks in O(n log n) as Sun and Xu (2014) do.
    """
    ranks = midranks(score)
    positives = int(positive.sum())
    negatives = len(score) - positives
    below = (ranks[positive] - midranks(score[positive])) / negatives
    above = 1 - (ranks[~positive] - midranks(score[~positive])) / positives
    return below, above


def _error(by_positive, by_negative, effective_n):
    rows = len(by_positive) + len(by_negative)
    if not 0 < effective_n <= rows * (1 + 1e-9):
        raise ValueError(f"effective_n is {effective_n}, expected more than 0 and at most the number of rows, {rows}")
    if min(len(by_positive), len(by_negative)) < 2:
        return float("inf")
    variance = sum(part.var(ddof=1) / len(part) for part in (by_positive, by_negative))
    return float(np.sqrt(variance * rows / effective_n))


def _estimate(value, error, level, lowest, highest):
    half = NormalDist().inv_cdf((1 + level) / 2) * error
    return Estimate(float(value), error, max(lowest, float(value - half)), min(highest, float(value + half)))


def _checked(y, score):
    positive, score = np.asarray(y) == 1, np.asarray(score, dtype=float)
    if len(positive) != len(score):
        raise ValueError(f"{len(positive)} labels but {len(score)} scores")
    if not 0 < positive.sum() < len(positive):
        raise StudyError(
            f"an AUC needs rows of both classes; of {len(positive)} rows {positive.sum()} are positive: use a longer "
            "window or another label"
        )
    if not np.isfinite(score).all():
        raise StudyError(
            f"{(~np.isfinite(score)).sum()} of {len(score)} scores are not finite, so they have no rank: check the "
            "model that made them"
        )
    return positive, score
