"""Extremes, ranks and quantiles of windows."""

import math

import numpy as np

from scripts.market import windows
from scripts.market.expressions.averages import known_rows
from scripts.market.expressions.elementwise import gridded
from scripts.market.windows import Blocks, before, enough, later


def lowest(values):
    """Blocks of the count of known values, and the lowest of them."""
    known = ~np.isnan(values)
    return Blocks((windows.shared(known).astype(float), np.where(known, values, np.inf)), _merge_lowest)


def highest(values):
    """Blocks of the count of known values and the highest of them."""
    known = ~np.isnan(values)
    return Blocks((windows.shared(known).astype(float), np.where(known, values, -np.inf)), _merge_highest)


def extreme(blocks, n):
    """The lowest or highest of the known values."""
    count, values = blocks.window(n)
    return enough(values, count, n, known_rows(n))


def lowest_places(values):
    """Blocks of the count of known values, the lowest of them, and its age; of equal ones the oldest."""
    return highest_places(-values)


def highest_places(values):
    """Blocks of the count of known values, the highest of them, and its age; of equal ones the oldest."""
    known = ~np.isnan(values)
    filled = np.where(known, values, -np.inf)
    return Blocks((windows.shared(known).astype(float), filled, np.zeros_like(filled)), _merge_places)


def age(blocks, n):
    """How many rows ago the extreme was."""
    count, _, ages = blocks.window(n)
    return enough(ages, count, n, known_rows(n))


def position(blocks, n):
    """Where in the window the extreme is: 1 in its oldest row, n in its newest."""
    return n - age(blocks, n)


class Ranks:
    """How many values of a window are below its newest one, counted row by row as windows get longer."""

    # a byte holds what this many rows add
    FULL = 127

    def __init__(self, values):
        self.values, self.counted, self.rows = values, windows.sums(values), 1
        self.recent, self.score = np.zeros(values.shape, np.uint8, order="F"), 0

    def scores(self, n):
        """Twice the number of values below the newest one, and once that of others equal to it."""
        if n < self.rows:
            return Ranks(self.values).scores(n)
        values, recent = self.values, self.recent
        for rows in range(self.rows, min(n, len(values))):
            newer, older = values[rows:], values[:-rows]
            for relation in (np.less, np.less_equal):
                recent[rows:] += relation(older, newer).view(np.uint8)
            if rows % self.FULL == 0:
                self.score = self.score + recent.astype(float)
                recent[:] = 0
        self.rows = n
        return self.score + recent


def rank(ranks, n):
    """The share of the window's known values that are at most as high as its newest, ties averaged."""
    count, _ = ranks.counted.window(n)
    share = gridded(np.divide(ranks.scores(n) / 2 + 1, count))
    return np.where(np.isnan(ranks.values), np.nan, enough(share, count, n, known_rows(n)))


class Ordered:
    """The windows of n rows in ascending order, unknown values last; only what is asked for is kept."""

    # how many values are sorted at a time
    PIECE = 30_000

    def __init__(self, values, n):
        rows, columns = values.shape
        padded = np.full((columns, rows + n - 1), np.nan)
        padded[:, n - 1 :] = values.T
        strides = (*padded.strides, padded.strides[-1])
        self.windows = np.lib.stride_tricks.as_strided(padded, (columns, rows, n), strides, writeable=False)
        self.count, _ = windows.sums(values).window(n)
        self.n, self.kept = n, {}

    def pick(self, *places):
        """What stands at places of all windows, each [columns, rows]; the places from the other end come with them."""
        if not self.kept.keys() >= set(places):
            wanted = sorted({*places, *(self.n - 1 - place for place in places)})
            columns, rows, _ = self.windows.shape
            picked = np.empty((len(wanted), columns, rows))
            step = max(1, self.PIECE // self.n)
            for column in range(columns):
                for start in range(0, rows, step):
                    table = np.array(self.windows[column, start : start + step], order="C")
                    table.sort(axis=-1)
                    picked[:, column, start : start + step] = table[:, wanted].T
            self.kept |= dict(zip(wanted, picked, strict=True))
        return [self.kept[place] for place in places]


def quantile(ordered, q):
    """The q-quantile of the known values, between two of them linearly."""
    count, n = ordered.count, ordered.n
    place = q * (n - 1)
    result = _between(*ordered.pick(math.floor(place), math.ceil(place)), place).T
    partly = np.flatnonzero(((count < n) & (count >= known_rows(n))).any(axis=1))
    if len(partly):
        table = np.array(ordered.windows[:, partly], order="C")
        table.sort(axis=-1)
        known = np.broadcast_to(count, result.shape)[partly].T
        place = q * np.maximum(known - 1, 0)
        ends = [np.take_along_axis(table, end(place).astype(int)[..., None], axis=-1) for end in (np.floor, np.ceil)]
        result[partly] = _between(*(each[..., 0] for each in ends), place).T
    return enough(result, count, n, known_rows(n))


def _between(low, high, place):
    return low + (high - low) * (place - np.floor(place))


def _merge_lowest(newer, older, rows):
    return _merge_extreme(newer, older, rows, np.minimum)


def _merge_highest(newer, older, rows):
    return _merge_extreme(newer, older, rows, np.maximum)


def _merge_extreme(newer, older, rows, choose):
    (count, values), (count_older, older_values) = newer, before(older, rows)
    joined = values.copy(order="K")
    choose(values[rows:], older_values, out=joined[rows:])
    return later(count, count_older, rows), joined


def _merge_places(newer, older, rows):
    (count, values, ages), (count_older, values_older, ages_older) = newer, before(older, rows)
    earlier = values_older >= values[rows:]
    values, ages = values.copy(order="K"), ages.copy(order="K")
    np.copyto(values[rows:], values_older, where=earlier)
    np.copyto(ages[rows:], ages_older + rows, where=earlier)
    return later(count, count_older, rows), values, ages
