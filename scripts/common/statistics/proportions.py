"""Shares and means of rows that come in groups, and the paired comparison of two of them.

Questions of one template, or decisions of one quarter, are right and wrong together: n of them say less than n separate
ones. Every interval here is that of groups.
"""

import math
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from scripts.common.statistics.intervals import wilson

RESAMPLES = 4000
FEW = 10


class Share(NamedTuple):
    """A share of rows: how many, in how many groups, worth how many separate rows, and the ends of its interval."""

    value: float
    n: int
    groups: int
    effective_n: float
    low: float
    high: float


class Mean(NamedTuple):
    """A mean over rows in groups; ``low`` and ``high`` are None where there is but one group, or one value other than 0
    in all groups: neither tells how far the truth may be."""

    value: float
    n: int
    groups: int
    low: float | None
    high: float | None


def share(hits, groups, level=0.95):
    """The share of ``hits`` (0/1 ``[n]``) as a :class:`Share`; rows of equal ``groups`` (``[n]``) are not separate.

    The interval is Wilson's for the effective n of Korn and Graubard (1998): n over the design effect (at least 1) of
    the linearised variance, times ``(t[n - 1] / t[groups - 1])^2`` since few groups tell a variance badly. Where no
    row or every row is a hit, the design effect cannot be seen: the rows of a group are taken for one.
    """
    hits = np.asarray(hits, dtype=float)
    n = len(hits)
    if not n:
        return Share(0.0, 0, 0, 0.0, 0.0, 1.0)
    value, sums, sizes = float(hits.mean()), *_by_group(hits, np.ones(n), groups)
    number, effective = len(sums), float(n)
    if 1 < number < n:
        if 0 < value < 1:
            variance = number / (number - 1) * ((sums - value * sizes) ** 2).sum() / n**2
            effective = n / max(1.0, variance / (value * (1 - value) / n))
        else:
            effective = float(number)
        effective *= (_t(n - 1, level) / _t(number - 1, level)) ** 2
    elif number == 1:
        effective = 1.0
    return Share(value, n, number, effective, *wilson(value, effective, level))


def mean(values, groups, seed, weights=None, level=0.95):
    """The mean of ``values`` ``[n]`` as a :class:`Mean`, or with ``weights`` ``[n]`` the ratio of their weighted sum.

    A bootstrap over groups (Davison and Hinkley 1997, section 3.8) with the percentiles of Hesterberg (2015), which
    are wider by Student's t and the lost degree of freedom. Fewer than ``FEW`` groups have resamples too few to reach
    those tails: they get Student's t and the linearised error. Equal seeds give equal intervals.
    """
    values, weights = _arrays(values, weights)
    sums, sizes = _by_group(values * weights, weights, groups)
    value, number = float(sums.sum() / sizes.sum()), len(sums)
    if number < 2 or (value and _is_constant(sums, sizes)):
        return Mean(value, len(values), number, None, None)
    if number < FEW:
        half = _t(number - 1, level) * _error(sums, sizes)
        return Mean(value, len(values), number, value - half, value + half)
    counts = _resamples(number, seed)
    drawn = counts @ sizes
    there = drawn > 0  # groups of no weight can be all that is drawn
    means = (counts @ sums)[there] / drawn[there]
    tail = NormalDist().cdf(-math.sqrt(number / (number - 1)) * _t(number - 1, level))
    low, high = np.quantile(means, [tail, 1 - tail])
    return Mean(value, len(values), number, float(low), float(high))


def difference_p(differences, groups, weights=None):
    """Two-sided p of a mean difference of 0, from Student's t over groups and the linearised error.

    None where there is but one group. Groups that all have the same difference have no error to go by: the p is that
    of all signs alike, as in ``groups`` throws of a coin.
    """
    differences, weights = _arrays(differences, weights)
    sums, sizes = _by_group(differences * weights, weights, groups)
    number, value = len(sums), sums.sum() / sizes.sum()
    if number < 2:
        return None
    if _is_constant(sums, sizes):
        return 2.0 ** (1 - number) if value else 1.0
    error = _error(sums, sizes)
    from scipy.special import stdtr

    return float(2 * stdtr(number - 1, -abs(value) / error))


def mcnemar(only_a, only_b):
    """Two-sided exact p that two raters are equally often right, from the rows on which one alone is.

    McNemar (1947), the binomial form; rows count as separate. 1 where there are no such rows.
    """
    n, fewer = only_a + only_b, min(only_a, only_b)
    if not n:
        return 1.0
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n)


def holm(values):
    """The p-values ``values`` adjusted for their number, in their order (Holm 1979); None stays and does not count."""
    known = sorted((p, place) for place, p in enumerate(values) if p is not None)
    adjusted, highest = list(values), 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        adjusted[place] = highest
    return adjusted


def error_bound(n, level=0.95):
    """The error rate that n separate rows without an error still allow: ``1 - (1 - level)^(1/n)``, about 3 / n.

    Hanley and Lippman-Hand (1983), "If nothing goes wrong, is everything all right?". 1 without rows.
    """
    return 1.0 if n <= 0 else 1 - (1 - level) ** (1 / n)


def _arrays(values, weights):
    values = np.asarray(values, dtype=float)
    return values, np.ones(len(values)) if weights is None else np.asarray(weights, dtype=float)


def _error(sums, sizes):
    """The standard error of a ratio of sums over groups, linearised (Cochran 1977, chapter 11)."""
    number, value = len(sums), sums.sum() / sizes.sum()
    return math.sqrt(number / (number - 1) * float(((sums - value * sizes) ** 2).sum())) / float(sizes.sum())


def _is_constant(sums, sizes):
    """Whether all groups have the same mean, so that the linearised error is 0."""
    return _error(sums, sizes) <= 1e-12 * abs(float(sums.sum() / sizes.sum()))


def _by_group(values, weights, groups):
    """Sums of values and weights, group by group, in the order of the groups' names."""
    if len(groups) != len(values):
        raise ValueError(f"{len(values)} rows but groups of {len(groups)}")
    _, place = np.unique(np.asarray(groups), return_inverse=True)
    return np.bincount(place, values), np.bincount(place, weights)


@lru_cache(maxsize=4)
def _resamples(groups, seed):
    """How often each group is drawn: float64 ``[RESAMPLES, groups]``."""
    rng = np.random.default_rng([seed, groups])
    return rng.multinomial(groups, np.full(groups, 1 / groups), size=RESAMPLES).astype(float)


@lru_cache
def _t(freedom, level):
    """The quantile of Student's t that leaves ``(1 - level) / 2`` above it."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))
