"""Operators across symbols: arrays [stamps, symbols], each stamp by itself, unknown values left out.

Sums go from symbol to symbol in the order of the columns, so that they have the same bits whatever stamps there are.
"""

import numpy as np

from scripts.market.expressions.elementwise import finite, gridded

# How many values are ranked at a time.
PIECE = 30_000


def rank(values):
    """The share of the stamp's known values that are at most as high: 1 for the highest, ties averaged."""
    result = np.empty_like(values)
    rows = max(1, PIECE // max(values.shape[1], 1))
    for start in range(0, len(values), rows):
        piece = np.ascontiguousarray(values[start : start + rows])
        result[start : start + rows] = _ranks(piece)
    return result


def _ranks(values):
    """Ranks in each row as shares, for rows that lie in memory one after the other."""
    rows, symbols = values.shape
    order = np.argsort(values, axis=1)
    order += symbols * np.arange(rows)[:, None]
    ordered = values.ravel()[order]
    places = np.empty(values.shape)
    places.ravel()[order] = np.arange(1.0, symbols + 1)
    tied = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    if len(tied):
        places.ravel()[order[tied]] = _averaged(ordered[tied])
    places[np.isnan(values)] = np.nan
    return gridded(places / np.maximum((~np.isnan(values)).sum(axis=1), 1)[:, None])


def _averaged(ordered):
    """The ranks of rows in ascending order, equal values sharing the mean of theirs."""
    places = np.arange(1.0, ordered.shape[1] + 1)
    new = np.ones(ordered.shape, bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    ends = np.ones(ordered.shape, bool)
    ends[:, :-1] = new[:, 1:]
    first = np.maximum.accumulate(np.where(new, places, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, places, np.inf)[:, ::-1], axis=1)[:, ::-1]
    return (first + last) / 2


def scale(values, a):
    """The values times a number that makes the sum of their sizes ``a``."""
    return finite(values * a / _total(np.abs(values))[:, None])


def indneutralize(values, groups):
    """The values less the mean of their group at the stamp; ``groups`` are codes per symbol, -1 for unknown."""
    result = np.full_like(values, np.nan)
    for code in np.unique(groups[groups >= 0]):
        members = np.flatnonzero(groups == code)
        own = values[:, members]
        result[:, members] = own - (_total(own) / (~np.isnan(own)).sum(axis=1))[:, None]
    return result


def _total(values):
    total = np.zeros(len(values))
    for column in values.T:
        total += np.where(np.isnan(column), 0.0, column)
    return total
