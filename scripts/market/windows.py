"""Sliding windows over the last n rows, each computed from its own rows alone.

Running sums (pandas, TA-Lib) carry rounding errors along the series, so that a value depends on where the series
began. Features are computed period by period and must not: here a window is merged from halves, quarters, and so on,
in an order that depends on n only, which takes log2(n) passes over the array and gives every window the same bits
wherever the array starts. Means and moments are merged by the formulas of Chan, Golub and LeVeque, "Updating
formulae and a pairwise algorithm for computing sample variances" (1979), which also keep them accurate.

Arrays are float64 with time on the first axis; each column of a two-dimensional one is a series of its own (columns
that are contiguous, order F, are fast). NaN is an unknown value: it is left out of its windows, and a window with
fewer than ``least`` known values (default: all n) is NaN. Where windows of several lengths are wanted of one array,
:class:`Blocks` made once (``sums``, ``averages``, ``moments``, ``pairs``) may be given in its place.
"""

import numpy as np


class Blocks:
    """Statistics of the windows of 1, 2, 4, ... rows, from which those of windows of any length are merged.

    ``parts`` are the statistics of single rows, arrays; ``merge(newer, older, rows)`` gives those of two windows
    together, the older one, which may lie before the first row, ending ``rows`` rows before the newer one ends.
    """

    def __init__(self, parts, merge):
        self.levels, self.merge = [parts], merge

    def window(self, n):
        """The statistics of the windows of n rows."""
        window, covered, size = None, 0, 1
        for level in range(n.bit_length()):
            if level == len(self.levels):
                half = self.levels[-1]
                self.levels.append(self.merge(half, half, size // 2))
            if n & size:
                parts = self.levels[level]
                window = parts if window is None else self.merge(window, parts, covered)
                covered += size
            size *= 2
        return window


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
    return np.divide(numerator, denominator, out=np.full(denominator.shape, np.nan, order="F"), where=defined)


def log_return(prices, n):
    """Log return over n rows; NaN unless both prices are above zero."""
    known = np.where(prices > 0, prices, np.nan)
    return np.log(ratio(known, lag(known, n)))


def sums(values):
    """:class:`Blocks` of the count and the sum of known values."""
    known, filled = split(values)
    return Blocks((known.astype(float), filled), _add)


def averages(values):
    """:class:`Blocks` of the count and the mean of known values."""
    known, filled = split(values)
    return Blocks((known.astype(float), filled), _merge_means)


def moments(values):
    """:class:`Blocks` of the count, the mean and the sum of squared distances from it."""
    known, filled = split(values)
    return Blocks((known.astype(float), filled, np.zeros_like(filled)), _merge_one)


def pairs(first, second):
    """:class:`Blocks` of the rows in which both are known: count, two means, two sums of squares, sum of products."""
    known = shared(~(np.isnan(first) | np.isnan(second)))
    first, second = np.where(known, first, 0.0), np.where(known, second, 0.0)
    zero = np.zeros_like(first)
    return Blocks((known.astype(float), first, second, zero, zero, zero), _merge_two)


def split(values):
    """Which values are known, in one column where that is the same in all, and the values with 0 for the others."""
    known = ~np.isnan(values)
    return shared(known), values if known.all() else np.where(known, values, 0.0)


def shared(known):
    """``known``, or its first column alone where all columns are the same."""
    alike = known.ndim == 2 and known.shape[1] > 1 and (known == known[:, :1]).all()
    return known[:, :1] if alike else known


def total(values, n, least=None):
    """Sum of the known values of the last n rows."""
    count, result = _blocks(values, sums).window(n)
    return enough(result, count, n, least)


def mean(values, n, least=None):
    """Mean of the known values of the last n rows."""
    count, average = _blocks(values, averages).window(n)
    return enough(average, count, n, least)


def deviation(values, n, least=None, ddof=1):
    """Standard deviation of the known values of the last n rows; exactly 0 where they are all equal."""
    count, _, squares = _blocks(values, moments).window(n)
    spread = np.sqrt(ratio(squares, np.maximum(count - ddof, 0)))
    return enough(spread, count, n, least)


def z_score(values, n, least=None):
    """Distance of a value from the mean of the last n rows (it included), in their standard deviations."""
    return ratio(values - mean(values, n, least), deviation(values, n, least))


def correlation(first, second, n, least=None):
    """Pearson correlation over the last n rows; rows in which either is unknown are left out."""
    return correlation_of(pairs(first, second), n, least)


def correlation_of(blocks, n, least=None):
    """Pearson correlation over the last n rows of what :func:`pairs` has prepared."""
    count, _, _, first_squares, second_squares, products = blocks.window(n)
    result = ratio(products, np.sqrt(first_squares) * np.sqrt(second_squares))
    return enough(np.clip(result, -1.0, 1.0), count, n, least)


def highest(values, n):
    """Maximum of the last n rows, which must all be known."""
    return -lowest(-values, n)


def lowest(values, n):
    """Minimum of the last n rows, which must all be known."""
    (result,) = Blocks((np.where(np.isnan(values), -np.inf, values),), _least).window(n)
    result = np.where(np.isneginf(result), np.nan, result)
    result[: n - 1] = np.nan
    return result


def mean_distance(values, centre, n):
    """Mean of |value - centre| over the last n rows, ``centre`` being that of the window's last row."""
    distances = np.zeros_like(values)
    for row in range(n):
        distances += np.abs(lag(values, row) - centre)
    return distances / n


def enough(result, count, n, least=None):
    """``result`` where the windows have ``least`` known values (default: all n), else NaN."""
    return np.where(count >= (n if least is None else least), result, np.nan)


def later(newer, older, rows):
    """``newer`` plus what ``older``, which is as long as the rows from ``rows`` on, adds to it."""
    joined = np.empty_like(newer)
    np.add(newer[:rows], 0.0, out=joined[:rows])
    np.add(newer[rows:], older, out=joined[rows:])
    return joined


def before(parts, rows):
    """``parts`` of the older windows, for the rows from ``rows`` on."""
    return [part[: max(len(part) - rows, 0)] for part in parts]


def weights(count_newer, count_older):
    """The older part's share of the rows, and the weight of the squared gap between the parts' means."""
    share = count_older / np.maximum(count_newer + count_older, 1.0)
    return share, share * count_newer


def _blocks(values, prepare):
    return values if isinstance(values, Blocks) else prepare(values)


def _add(newer, older, rows):
    return [later(part, addition, rows) for part, addition in zip(newer, before(older, rows), strict=True)]


def _least(newer, older, rows):
    (part,), (other,) = newer, before(older, rows)
    joined = part.copy(order="K")
    np.minimum(part[rows:], other, out=joined[rows:])
    return (joined,)


def _merge_means(newer, older, rows):
    (count, mean_newer), (count_older, mean_older) = newer, before(older, rows)
    share, _ = weights(count[rows:], count_older)
    gap = mean_older - mean_newer[rows:]
    return later(count, count_older, rows), later(mean_newer, gap * share, rows)


def _merge_one(newer, older, rows):
    count, mean_newer, squares = newer
    count_older, mean_older, squares_older = before(older, rows)
    share, weight = weights(count[rows:], count_older)
    gap = mean_older - mean_newer[rows:]
    squares = later(squares, squares_older, rows)
    squares[rows:] += gap * gap * weight
    return later(count, count_older, rows), later(mean_newer, gap * share, rows), squares


def _merge_two(newer, older, rows):
    count, x, y, xx, yy, xy = newer
    count_older, x_older, y_older, xx_older, yy_older, xy_older = before(older, rows)
    share, weight = weights(count[rows:], count_older)
    gap_x, gap_y = x_older - x[rows:], y_older - y[rows:]
    xx, yy, xy = later(xx, xx_older, rows), later(yy, yy_older, rows), later(xy, xy_older, rows)
    xx[rows:] += gap_x * gap_x * weight
    yy[rows:] += gap_y * gap_y * weight
    xy[rows:] += gap_x * gap_y * weight
    return (
        later(count, count_older, rows),
        later(x, gap_x * share, rows),
        later(y, gap_y * share, rows),
        xx,
        yy,
        xy,
    )
