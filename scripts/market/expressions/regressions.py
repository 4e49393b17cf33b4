"""Least squares, correlations and covariances over windows, all with an intercept.

Rows in which any of the series is unknown are left out.
"""

import numpy as np

from scripts.market import windows
from scripts.market.expressions.averages import known_rows
from scripts.market.expressions.elementwise import gridded
from scripts.market.windows import Blocks, before, enough, later, weights

# A regressor of which the others leave less than this share of its variance to explain is no regressor.
SINGULAR = 1e-10


def correlation(blocks, n):
    """Pearson's correlation; unknown where one of the two does not change."""
    return gridded(windows.correlation_of(blocks, n, known_rows(n)))


def covariance(blocks, n):
    """With divisor count - 1; 40 binary digits of it, and 0 where rounding errors are all there is."""
    count, _, _, first, second, products = blocks.window(n)
    noise = np.sqrt(first) * np.sqrt(second) * 2.0**-40
    digits, exponent = np.frexp(np.where(np.abs(products) > noise, products, 0.0) / (count - 1))
    rounded = np.ldexp(np.rint(np.ldexp(digits, 40)), exponent - 40)
    return enough(rounded, count, n, known_rows(n))


def beta(y, x, n, condition=None):
    """Slope of y on x; with a condition, over the rows of the window in which it holds.

    It is then known where the condition is in three quarters of the rows, and y and x where it holds.
    """
    if condition is None:
        blocks = windows.pairs(x, y)
        count, _, _, squares, _, products = blocks.window(n)
        return enough(np.divide(products, squares), count, n, known_rows(n))
    holds = condition == 1
    _, _, _, squares, _, products = windows.pairs(np.where(holds, x, np.nan), np.where(holds, y, np.nan)).window(n)
    informed = np.where(holds, 0 * (x + y), 0 * condition)
    count, _ = windows.sums(informed).window(n)
    return enough(np.divide(products, squares), count, n, known_rows(n))


def timed(values):
    """Blocks for the regression on time, and the values themselves.

    Time is counted in rows from the newest row of a window, so that it does not depend on where the array begins.
    """
    known, filled = windows.split(values)
    count = known.astype(float)
    none, zero = np.zeros_like(count), np.zeros_like(filled)
    return Blocks((count, none, filled, none, zero, zero), _merge_timed), values


def slope(prepared, n):
    """Change per row of the least squares line."""
    count, _, _, times, _, products = prepared[0].window(n)
    return enough(np.divide(products, times), count, n, known_rows(n))


def rsquare(prepared, n):
    """Share of the variance that the least squares line explains."""
    count, _, _, times, squares, products = prepared[0].window(n)
    explained = np.minimum(np.divide(products * products, times * squares), 1.0)
    return enough(explained, count, n, known_rows(n))


def time_residual(prepared, n):
    """Distance of the newest value from the least squares line."""
    blocks, values = prepared
    count, time, average, times, _, products = blocks.window(n)
    line = average - np.divide(products, times) * time
    return enough(values - line, count, n, known_rows(n))


def residual(y, regressors, n, least):
    """Distance of the newest y from the least squares plane of up to three regressors."""
    series = (*regressors, y)
    known = windows.shared(~np.isnan(sum(series)))
    filled = [np.where(known, each, 0.0) for each in series]
    k = len(series)
    zeros = [np.zeros_like(filled[0])] * (k * (k + 1) // 2)
    count, *rest = Blocks((known.astype(float), *filled, *zeros), _merge_many(k)).window(n)
    means, products = rest[:k], dict(zip(_pairs(k), rest[k:], strict=True))
    slopes = _solved(products, k - 1)
    gaps = [each - average for each, average in zip(series, means, strict=True)]
    result = gaps[-1] - sum(slope * gap for slope, gap in zip(slopes, gaps, strict=False))
    return enough(result, count, n, least)


def _solved(products, k):
    """The slopes by elimination; NaN where a regressor is a combination of those before it."""
    table = dict(products)
    whole = [table[i, i] for i in range(k)]
    for i in range(k):
        table[i, i] = np.where(table[i, i] > SINGULAR * whole[i], table[i, i], np.nan)
        for row in range(i + 1, k):
            factor = table[i, row] / table[i, i]
            for column in range(row, k + 1):
                table[row, column] = table[row, column] - factor * table[i, column]
    slopes = [None] * k
    for i in reversed(range(k)):
        rest = sum(table[i, j] * slopes[j] for j in range(i + 1, k))
        slopes[i] = (table[i, k] - rest) / table[i, i]
    return slopes


def _pairs(k):
    return [(i, j) for i in range(k) for j in range(i, k)]


def _merge_many(k):
    def merge(newer, older, rows):
        count, *rest = newer
        count_older, *rest_older = before(older, rows)
        share, weight = weights(count[rows:], count_older)
        gaps = [rest_older[i] - rest[i][rows:] for i in range(k)]
        means = [later(rest[i], gaps[i] * share, rows) for i in range(k)]
        products = [later(rest[k + p], rest_older[k + p], rows) for p in range(len(rest) - k)]
        for (i, j), each in zip(_pairs(k), products, strict=True):
            each[rows:] += gaps[i] * gaps[j] * weight
        return (later(count, count_older, rows), *means, *products)

    return merge


def _merge_timed(newer, older, rows):
    """As for pairs, the time of the older window being counted from the newest row of both."""
    count, t, y, tt, yy, ty = newer
    count_older, t_older, y_older, tt_older, yy_older, ty_older = before(older, rows)
    share, weight = weights(count[rows:], count_older)
    gap_t, gap_y = (t_older - rows) - t[rows:], y_older - y[rows:]
    tt, yy, ty = later(tt, tt_older, rows), later(yy, yy_older, rows), later(ty, ty_older, rows)
    tt[rows:] += gap_t * gap_t * weight
    yy[rows:] += gap_y * gap_y * weight
    ty[rows:] += gap_t * gap_y * weight
    return later(count, count_older, rows), later(t, gap_t * share, rows), later(y, gap_y * share, rows), tt, yy, ty
