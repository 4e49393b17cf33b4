"""Sums and averages over windows: of equal weights, of weights that fall with age, of weights without an end."""

import math

import numpy as np

from scripts.market import windows
from scripts.market.expressions.elementwise import finite
from scripts.market.windows import Blocks, before, enough, later, split

# Weights of an sma below this are left out: what is older changes nothing that a float64 shows of the rest.
FORGOTTEN = 1e-12
# The weight of a wma falls by this factor with every bar.
DECAY = 0.9
# What rounding errors amount to in a sum, as a share of it.
NOISE = 1e-15


def delta(values, d):
    """The change over d rows."""
    return values - windows.lag(values, d)


def total(blocks, n):
    """The sum of the known values."""
    return windows.total(blocks, n, known_rows(n))


def sums_and_values(values):
    """Blocks of sums, and the values themselves."""
    return windows.sums(values), values


def mean(prepared, n):
    """The sum by the count; the newest value itself where rounding errors are the only difference (a still market)."""
    blocks, values = prepared
    count, sums = blocks.window(n)
    average = np.divide(sums, count)
    still = np.abs(average - values) <= NOISE * np.abs(average)
    return enough(np.where(still, values, average), count, n, known_rows(n))


def deviation(blocks, n):
    """The standard deviation, with divisor count - 1."""
    return windows.deviation(blocks, n, known_rows(n))


def sumif(values, n, condition):
    """Sum of the values of the last n rows in which the condition holds."""
    chosen = np.where(condition == 1, values, 0 * condition)
    return total(windows.sums(chosen), n)


def products(values):
    """Blocks of the count and the product of known values."""
    known = ~np.isnan(values)
    return Blocks((windows.shared(known).astype(float), np.where(known, values, 1.0)), _multiply)


def product(blocks, n):
    """The product of the known values."""
    count, result = blocks.window(n)
    return finite(enough(result, count, n, known_rows(n)))


def aged_sums(values):
    """Blocks of the known values and of the rows that have them: count, sum, and the same weighted with their age."""
    known, filled = split(values)
    count = known.astype(float)
    return Blocks((count, np.zeros_like(count), filled, np.zeros_like(filled)), _merge_aged)


def decay_linear(blocks, n):
    """Mean with weights that rise from 1 (oldest row) to n."""
    count, ages, values, aged = blocks.window(n)
    return enough(np.divide(n * values - aged, n * count - ages), count, n, known_rows(n))


def wma(values, n):
    """Mean with weights 0.9^age."""
    return _fading(values, n, DECAY, known_rows(n))


def sma(values, n, m):
    """The mean y = (m x + (n - m) y') / n, y' being that of the row before, over the rows it has not forgotten."""
    rows = memory(n, m)
    return _fading(values, rows, 1 - m / n, min(n, rows))


def memory(n, m):
    """How many rows have a weight of ``FORGOTTEN`` or more in an sma."""
    factor = 1 - m / n
    rows = max(1, math.floor(math.log(FORGOTTEN) / math.log(factor))) if factor > 0 else 1
    while factor**rows >= FORGOTTEN:
        rows += 1
    return rows


def known_rows(n):
    """How many rows of a window of n must be known: three quarters, rounded up."""
    return -(-3 * n // 4)


def _fading(values, rows, factor, least):
    known, filled = split(values)
    count = windows.shared(known).astype(float)

    def merge(newer, older, after):
        weight = factor**after
        count_older, weights_older, sums_older = before(older, after)
        return (
            later(newer[0], count_older, after),
            later(newer[1], weight * weights_older, after),
            later(newer[2], weight * sums_older, after),
        )

    counted, weights, sums = Blocks((count, count, filled), merge).window(rows)
    return enough(np.divide(sums, weights), counted, rows, least)


def _multiply(newer, older, rows):
    (count, product), (count_older, older_product) = newer, before(older, rows)
    joined = product.copy(order="K")
    joined[rows:] *= older_product
    return later(count, count_older, rows), joined


def _merge_aged(newer, older, rows):
    count, ages, values, aged = newer
    count_older, ages_older, values_older, aged_older = before(older, rows)
    return (
        later(count, count_older, rows),
        later(ages, ages_older + rows * count_older, rows),
        later(values, values_older, rows),
        later(aged, aged_older + rows * values_older, rows),
    )
