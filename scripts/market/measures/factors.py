"""Factors: how well a score ranks the symbols, how long that lasts, and how a score is cleaned.

A factor is ``[rows, symbols]``, one row per stamp; ``returns`` of the same shape hold in row t what is earned
AFTER the score of row t is known. One row alone may be given as ``[symbols]``: results per row are then floats.
NaN is unknown and left out of its row.
"""

from dataclasses import dataclass

import numpy as np

from scripts.common.errors import StudyError
from scripts.market import windows
from scripts.market.measures import cross_sections, series, whole_number

NORMAL_MAD = 1.4826  # the standard deviation of a normal sample is this many median absolute deviations


@dataclass(frozen=True)
class IcDecay:
    """The result of :func:`ic_decay`, ``[lags]`` each; ``half_life`` in bars, NaN when half is not reached."""

    lags: np.ndarray
    ic: np.ndarray
    standard_error: np.ndarray
    half_life: float


def rank_ic(factor, returns):
    """Rank information coefficient: Spearman's rank correlation of factor and later return across symbols, in [-1, 1].

    ``factor``, ``returns``: ``[rows, symbols]`` -> ``[rows]``, or ``[symbols]`` -> float. Symbols for which either is
    unknown are left out, ties share the mean of their ranks; NaN with fewer than 3 symbols or without any variation.
    Sources: Spearman (1904), American Journal of Psychology 15; as a measure of skill Grinold and Kahn (1999), Active
    Portfolio Management. Raises StudyError when the shapes differ and for infinite values.
    """
    scores, earned = cross_sections(factor=factor, returns=returns)
    known = ~(np.isnan(scores) | np.isnan(earned))
    first, second = (_centred(_ranks(np.where(known, each, np.nan))) for each in (scores, earned))
    products = (first * second).sum(axis=1)
    ic = windows.ratio(products, np.sqrt((first**2).sum(axis=1)) * np.sqrt((second**2).sum(axis=1)))
    ic = np.where(known.sum(axis=1) >= 3, np.clip(ic, -1.0, 1.0), np.nan)
    return _like(factor, ic)


def ic_decay(factor, returns, lags=(1, 2, 3, 5, 10, 20)):
    """Mean rank IC of a factor with the return of one single bar, 1, 2, 3 ... bars later, as :class:`IcDecay`.

    ``returns[t]`` is the return of the bar after row t, so lag k pairs ``factor[t]`` with ``returns[t + k - 1]``:
    what is left of the score's knowledge k - 1 bars later, not a return summed over k bars. The standard error is
    that of a mean of independent rows (too small where a slow factor has slow returns). The half-life is where the
    mean IC first falls to half of that at the first lag, interpolated between the lags. Source: Grinold and Kahn
    (1999), Active Portfolio Management, on information horizons. Raises StudyError for factors that are not
    ``[rows, symbols]``, lags that do not rise from 1 or more, and fewer than lag + 1 rows.
    """
    scores, earned = cross_sections(factor=factor, returns=returns)
    steps = [whole_number("lags", lag) for lag in lags]
    if not steps or sorted(set(steps)) != steps:
        raise StudyError(f"lags: {list(lags)} must be rising whole numbers")
    if len(scores) < steps[-1] + 1:
        raise StudyError(f"factor: {len(scores)} rows are too few for a lag of {steps[-1]} bars")
    by_lag = [rank_ic(scores[: len(scores) - lag + 1], earned[lag - 1 :]) for lag in steps]
    known = [ic[~np.isnan(ic)] for ic in by_lag]
    means = np.array([ic.mean() if len(ic) else np.nan for ic in known])
    errors = np.array([ic.std(ddof=1) / np.sqrt(len(ic)) if len(ic) > 1 else np.nan for ic in known])
    return IcDecay(np.array(steps), means, errors, _time_of_half(np.array(steps, dtype="float64"), means))


def turnover(weights, returns=None):
    r"""One-way turnover of a portfolio: the share that is exchanged, :math:`\frac12 \sum_i |w_{t,i} - w^+_{t-1,i}|`.

    ``weights``: ``[rows, symbols]``, shares of the capital (negative when short), unknown counts as 0 -> ``[rows]``,
    the first NaN. :math:`w^+` are the weights before trading: those of the row before or, when ``returns`` (simple,
    ``returns[t]`` earned between row t and t + 1) are given, what these made of them,
    :math:`w_i (1 + r_i) / (1 + \sum_j w_j r_j)`. 1 is a whole book of weight 1 sold and another bought. Source:
    DeMiguel, Garlappi and Uppal (2009), Review of Financial Studies 22, who count both ways, twice this. Raises
    StudyError for weights without rows or of another shape than the returns.
    """
    if np.ndim(weights) != 2:
        raise StudyError(f"weights: [rows, symbols] is expected, not the shape {np.shape(weights)}")
    held, earned = cross_sections(weights=weights, returns=np.zeros(np.shape(weights)) if returns is None else returns)
    held, earned = np.nan_to_num(held), np.nan_to_num(earned)
    grown = windows.ratio(held * (1 + earned), 1 + (held * earned).sum(axis=1, keepdims=True))
    exchanged = np.abs(held[1:] - grown[:-1]).sum(axis=1) / 2
    return np.concatenate([[np.nan], exchanged])


def half_life(values):
    r"""Bars in which a deviation from the mean halves, :math:`\ln(1/2) / \ln \phi` with x = a + phi x' + e.

    ``values``: ``[n]``, n >= 10, of a series (a spread, an IC, a factor's autocorrelated score); phi is the least
    squares slope on the value one bar before, which is somewhat low in short samples. inf when phi is 1 or more (it
    does not revert), 0 when phi is 0 or less, NaN for a constant. Source: folklore, from the solution of an AR(1).
    Raises StudyError for fewer rows and values that are not finite.
    """
    values = series("values", values, least=10)
    before, after = values[:-1] - values[:-1].mean(), values[1:] - values[1:].mean()
    if np.ptp(values[:-1]) == 0:
        return float("nan")
    slope = float(before @ after / (before @ before))
    if slope <= 0:
        return 0.0
    return float(np.log(0.5) / np.log(slope)) if slope < 1 else float("inf")


def neutralize(factor, exposures=None, groups=None):
    """What a factor says beyond given exposures: the residual of a regression on them across symbols, per row.

    ``factor``: ``[rows, symbols]`` or ``[symbols]``, the result likewise, in its unit. ``exposures`` (size, beta ...):
    ``[symbols]`` or ``[symbols, k]``, the same in every row, or ``[rows, symbols, k]``. ``groups``: a label per symbol
    (industry), each with a constant of its own; without them there is one constant. The result has mean 0 (in each
    group) and is uncorrelated with each exposure over the symbols known in all. It is NaN for the others and in rows
    whose known symbols are no more than the independent regressors. Source: Frisch and Waugh (1933), Econometrica 1.
    Raises StudyError when neither is given or shapes do not fit.
    """
    (values,) = cross_sections(factor=factor)
    if exposures is None and groups is None:
        raise StudyError("neutralize: give exposures, groups or both; there is nothing to take out of the factor")
    numbers = _exposures(exposures, values.shape)
    constants = _dummies(groups, values.shape[1])
    known = ~(np.isnan(values) | np.isnan(numbers).any(axis=2))
    numbers = _standardized(numbers, known)
    design = np.concatenate([np.broadcast_to(constants, (len(values), *constants.shape)), numbers], axis=2)
    design = np.where(known[:, :, None], design, 0.0)
    target = np.where(known, values, 0.0)
    # Orthonormal columns of the design, so that collinear and empty columns do no harm.
    basis, sizes, _ = np.linalg.svd(design, full_matrices=False)
    real = sizes > sizes.max(axis=1, keepdims=True, initial=0.0) * 1e-10
    basis = basis * real[:, None, :]
    residual = target - (basis @ (basis.transpose(0, 2, 1) @ target[:, :, None]))[:, :, 0]
    enough = known.sum(axis=1) > real.sum(axis=1)
    result = np.where(known & enough[:, None], residual, np.nan)
    return result[0] if np.ndim(factor) == 1 else result


def winsorize_mad(values, n=3.0):
    r"""Values pulled in to the median plus or minus n robust deviations, :math:`m \pm n \cdot 1.4826 \cdot MAD`.

    ``values``: ``[rows, symbols]`` or ``[symbols]``, the result likewise, in their unit; each row has its own median m
    and MAD, the median of :math:`|x - m|`, times 1.4826 to equal the standard deviation of a normal sample. Rows
    whose MAD is 0 (half of the values are equal) stay as they are, unknown values too. Source: the median deviation
    is due to Gauss, its use against outliers to Hampel (1974), Journal of the American Statistical Association 69.
    Raises StudyError when n is not above 0 and for infinite values.
    """
    if not n > 0:
        raise StudyError(f"n: {n} is not above 0")
    (rows,) = cross_sections(values=values)
    result = rows.copy()
    some = ~np.isnan(rows).all(axis=1)
    middle = np.nanmedian(rows[some], axis=1, keepdims=True)
    reach = n * NORMAL_MAD * np.nanmedian(np.abs(rows[some] - middle), axis=1, keepdims=True)
    reach = np.where(reach > 0, reach, np.inf)
    result[some] = np.clip(rows[some], middle - reach, middle + reach)
    return result[0] if np.ndim(values) == 1 else result


def quantile_spread(factor, returns, quantiles=5):
    """Mean return of the symbols with the highest scores less that of the lowest, each one of ``quantiles`` parts.

    ``factor``, ``returns``: ``[rows, symbols]`` -> ``[rows]``, or ``[symbols]`` -> float [fraction per holding
    period, before costs], equally weighted. With N known symbols the top and the bottom are those whose rank from
    their end (ties averaged) is at most N / quantiles; NaN with fewer symbols than quantiles, or when ties leave an
    end empty. Source: Jegadeesh and Titman (1993), Journal of Finance 48 (winners minus losers). Raises StudyError
    for fewer than 2 quantiles and shapes that differ.
    """
    quantiles = whole_number("quantiles", quantiles, least=2)
    scores, earned = cross_sections(factor=factor, returns=returns)
    known = ~(np.isnan(scores) | np.isnan(earned))
    count = known.sum(axis=1, keepdims=True)
    ranks = _ranks(np.where(known, scores, np.nan))
    top, bottom = (count + 1 - ranks) * quantiles <= count, ranks * quantiles <= count
    high, low = (
        windows.ratio(np.where(part, earned, 0.0).sum(axis=1), part.sum(axis=1).astype(float)) for part in (top, bottom)
    )
    return _like(factor, high - low)


def _ranks(rows):
    """Ranks from 1 within each row, ties averaged, NaN kept."""
    import pandas as pd

    return pd.DataFrame(rows).rank(axis=1).to_numpy()


def _centred(rows):
    """Each row less the mean of its known values, unknown ones 0."""
    known = ~np.isnan(rows)
    filled = np.where(known, rows, 0.0)
    mean = filled.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    return np.where(known, filled - mean, 0.0)


def _like(given, by_row):
    """Results per row in the shape of what was given: a float for a single row."""
    return float(by_row[0]) if np.ndim(given) == 1 else by_row


def _time_of_half(lags, ics):
    """Where the values first fall to half of the first one, by straight lines between the lags."""
    shares = windows.ratio(ics, ics[:1])
    below = np.flatnonzero(shares <= 0.5)
    if not len(below) or np.isnan(shares[: below[0]]).any():
        return float("nan")
    end = below[0]
    part = (shares[end - 1] - 0.5) / (shares[end - 1] - shares[end])
    return float(lags[end - 1] + part * (lags[end] - lags[end - 1]))


def _exposures(exposures, shape):
    """Exposures as ``[rows, symbols, k]``; k is 0 when there are none."""
    if exposures is None:
        return np.empty((*shape, 0))
    array = np.asarray(exposures, dtype="float64")
    if array.ndim == 1:
        array = array[:, None]
    fits = array.shape[:2] == shape if array.ndim == 3 else array.ndim == 2 and len(array) == shape[1]
    if not fits or np.isinf(array).any():
        raise StudyError(
            f"exposures: finite numbers (or NaN) of shape [symbols], [symbols, k] or [rows, symbols, k] for "
            f"{shape[0]} rows of {shape[1]} symbols are expected, not {array.shape}"
        )
    return array if array.ndim == 3 else np.broadcast_to(array, (shape[0], *array.shape))


def _dummies(groups, symbols):
    """``[symbols, groups]`` of 0 and 1; one column of ones without groups."""
    if groups is None:
        return np.ones((symbols, 1))
    import pandas as pd

    codes, _ = pd.factorize(np.asarray(groups))
    if len(codes) != symbols or codes.min() < 0:
        raise StudyError(f"groups: one known label for each of {symbols} symbols is expected")
    return (codes[:, None] == np.arange(codes.max() + 1)).astype("float64")


def _standardized(numbers, known):
    """Exposures with mean 0 and spread 1 over the known symbols of a row, so that none drowns in another's unit."""
    weight = known[:, :, None].astype("float64")
    count = np.maximum(weight.sum(axis=1, keepdims=True), 1)
    centred = np.where(known[:, :, None], numbers, 0.0)
    centred = (centred - centred.sum(axis=1, keepdims=True) / count) * weight
    spread = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
    flat = spread <= 1e-12 * np.abs(numbers).max(axis=1, keepdims=True, initial=0.0, where=known[:, :, None])
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, spread))
