"""Sliding windows over the last n rows, each computed from its own rows alone.

Running sums (pandas, TA-Lib) carry rounding errors along the series, so that a value depends on where the series
began. Features are computed period by period and must not: here a window is merged from halves, quarters, and so on,
in an order that depends on n only, which takes log2(n) passes over the array and gives every window the same bits
wherever the array starts. Means and moments are merged by the formulas of Chan, Golub and LeVeque, "Updating
formulae and a pairwise algorithm for computing sample variances" (1979), which also keep them accurate.

Arrays are one-dimensional float64. NaN is an unknown value: it is left out of its windows, and a window with fewer
than ``least`` known values (default: all n) is NaN.
"""

import numpy as np


def lag(values, rows, fill=np.nan):
    """``values`` moved ``rows`` later; the first rows are ``fill``."""
    moved = np.full_like(values, fill)
    if rows < len(values):
        moved[rows:] = values[: len(values) - rows]
    return moved


def ratio(numerator, denominator):
    """The quotient; NaN where the denominator is 0 or unknown."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    defined = (denominator != 0) & ~np.isnan(denominator)
    return np.divide(numerator, denominator, out=np.full(denominator.shape, np.nan), where=defined)


def log_return(prices, n):
    """Log return over n rows; NaN unless both prices are above zero."""
    known = np.where(prices > 0, prices, np.nan)
    return np.log(ratio(known, lag(known, n)))


def total(values, n, least=None):
    """Sum of the known values of the last n rows."""
    known = ~np.isnan(values)
    count, result = _fold((known.astype(float), np.where(known, values, 0.0)), n, _add)
    return _enough(result, count, n, least)


def mean(values, n, least=None):
    """Mean of the known values of the last n rows."""
    count, average, _ = _moments(values, n)
    return _enough(average, count, n, least)


def deviation(values, n, least=None, ddof=1):
    """Standard deviation of the known values of the last n rows; exactly 0 where they are all equal."""
    count, _, squares = _moments(values, n)
    spread = np.sqrt(ratio(squares, np.maximum(count - ddof, 0)))
    return _enough(spread, count, n, least)


def z_score(values, n, least=None):
    """Distance of a value from the mean of the last n rows (it included), in their standard deviations."""
    return ratio(values - mean(values, n, least), deviation(values, n, least))


def correlation(first, second, n, least=None):
    """Pearson correlation over the last n rows; rows in which either is unknown are left out."""
    known = ~(np.isnan(first) | np.isnan(second))
    zero = np.zeros(len(first))
    parts = (known.astype(float), np.where(known, first, 0.0), np.where(known, second, 0.0), zero, zero, zero)
    count, _, _, first_squares, second_squares, products = _fold(parts, n, _merge_two)
    result = ratio(products, np.sqrt(first_squares) * np.sqrt(second_squares))
    return _enough(np.clip(result, -1.0, 1.0), count, n, least)


def highest(values, n):
    """Maximum of the last n rows, which must all be known."""
    return -lowest(-values, n)


def lowest(values, n):
    """Minimum of the last n rows, which must all be known."""
    (result,) = _fold((np.where(np.isnan(values), -np.inf, values),), n, _least, empty=-np.inf)
    return np.where(np.isneginf(result), np.nan, result)


def mean_distance(values, centre, n):
    """Mean of |value - centre| over the last n rows, ``centre`` being that of the window's last row."""
    distances = np.zeros(len(values))
    for row in range(n):
        distances += np.abs(lag(values, row) - centre)
    return distances / n


def _fold(parts, n, merge, empty=0.0):
    """Merge the parts of the last n rows: windows of 1, 2, 4, ... rows are joined to one of n."""
    window, covered, size = None, 0, 1
    while True:
        if n & size:
            window = parts if window is None else merge(window, [lag(part, covered, empty) for part in parts])
            covered += size
        if 2 * size > n:
            return window
        parts = merge(parts, [lag(part, size, empty) for part in parts])
        size *= 2


def _add(newer, older):
    return [a + b for a, b in zip(newer, older, strict=True)]


def _least(newer, older):
    return [np.minimum(a, b) for a, b in zip(newer, older, strict=True)]


def _moments(values, n):
    """Count, mean and sum of squared distances from the mean of the known values of the last n rows."""
    known = ~np.isnan(values)
    return _fold((known.astype(float), np.where(known, values, 0.0), np.zeros(len(values))), n, _merge_one)


def _merge_one(newer, older):
    count, mean_newer, squares = newer
    count_older, mean_older, squares_older = older
    share, weight = _weights(count, count_older)
    gap = mean_older - mean_newer
    return count + count_older, mean_newer + gap * share, squares + squares_older + gap * gap * weight


def _merge_two(newer, older):
    count, x, y, xx, yy, xy = newer
    count_older, x_older, y_older, xx_older, yy_older, xy_older = older
    share, weight = _weights(count, count_older)
    gap_x, gap_y = x_older - x, y_older - y
    return (
        count + count_older,
        x + gap_x * share,
        y + gap_y * share,
        xx + xx_older + gap_x * gap_x * weight,
        yy + yy_older + gap_y * gap_y * weight,
        xy + xy_older + gap_x * gap_y * weight,
    )


def _weights(count_newer, count_older):
    """The older part's share of the rows, and the weight of the squared gap between the parts' means."""
    share = count_older / np.maximum(count_newer + count_older, 1.0)
    return share, share * count_newer


def _enough(result, count, n, least):
    return np.where(count >= (n if least is None else least), result, np.nan)
