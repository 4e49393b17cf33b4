"""Jump tests: does a price move as a diffusion can, or does it jump?

All functions take log returns (fractions) of evenly spaced bars. The variation measures and the test of Barndorff
Nielsen and Shephard take ``[..., n]``: n returns of a day, say, and any number of days, each its own result. A
result for one day is a float.
"""

from dataclasses import dataclass

import numpy as np

from scripts.common.errors import StudyError
from scripts.market import windows
from scripts.market.measures import series, whole_number

MEAN_ABSOLUTE = np.sqrt(2 / np.pi)  # E|z| of a standard normal z, the mu_1 of the papers


@dataclass(frozen=True)
class JumpShare:
    """The test of :func:`barndorff_nielsen_shephard`: floats for one day, arrays ``[...]`` for many.

    ``statistic`` is standard normal without jumps and large with them, ``p_value`` its upper tail, ``share`` the
    part of the realised variance that is due to jumps, max(0, 1 - bipower / realized), in [0, 1).
    """

    statistic: float | np.ndarray
    p_value: float | np.ndarray
    share: float | np.ndarray


@dataclass(frozen=True)
class JumpBars:
    """The test of :func:`lee_mykland`, one value per return ``[n]``.

    ``statistic`` is the signed L of the paper, ``p_value`` the chance that the largest |L| of as many bars without a
    jump exceeds this one, ``jump`` True where |L| exceeds ``threshold``. Bars before the window is full have NaN,
    NaN and False.
    """

    statistic: np.ndarray
    p_value: np.ndarray
    jump: np.ndarray
    threshold: float


def realized_variance(returns):
    r"""Sum of the squared log returns of a day, :math:`RV = \sum_i r_i^2` [per day, fraction squared].

    ``returns``: ``[..., n]``, n >= 1. As bars become shorter it tends to the integrated variance plus the squared
    jumps. Source: Andersen and Bollerslev (1998), International Economic Review 39. Raises StudyError for no
    returns and for values that are not finite.
    """
    values = _days(returns, least=1)
    return _plain((values**2).sum(axis=-1))


def bipower_variation(returns):
    r"""Variation of a day without its jumps, :math:`BV = \frac{\pi}{2} \frac{n}{n-1} \sum_i |r_i| |r_{i-1}|`.

    ``returns``: ``[..., n]``, n >= 2; the unit is that of :func:`realized_variance`. It tends to the integrated
    variance whether or not there are jumps, since a jump is multiplied by a small neighbour. The factor n / (n - 1),
    for the n - 1 products of n returns, makes its expectation exact for Brownian motion. Source: Barndorff-Nielsen
    and Shephard (2004), Journal of Financial Econometrics 2. Raises StudyError as :func:`realized_variance`.
    """
    size = np.abs(_days(returns, least=2))
    n = size.shape[-1]
    return _plain((size[..., 1:] * size[..., :-1]).sum(axis=-1) * n / (n - 1) / MEAN_ABSOLUTE**2)


def barndorff_nielsen_shephard(returns):
    r"""Test for jumps within a day by the distance of realised and bipower variation, as :class:`JumpShare`.

    .. math:: z = \frac{1 - BV / RV}{\sqrt{((\pi/2)^2 + \pi - 5) \, n^{-1} \max(1, TQ / BV^2)}}, \quad
        TQ = n \mu_{4/3}^{-3} \frac{n}{n-2} \sum_i |r_i|^{4/3} |r_{i-1}|^{4/3} |r_{i-2}|^{4/3}

    with :math:`\mu_{4/3} = 2^{2/3} \Gamma(7/6) / \Gamma(1/2)`. ``returns``: ``[..., n]``, n >= 3; z has no unit and
    is standard normal without jumps (n large); one-sided, jumps make it large. NaN where the bipower variation is 0.
    Sources: Barndorff-Nielsen and Shephard (2006), Journal of Financial Econometrics 4; the ratio form, whose size
    is better in small samples, is that of Huang and Tauchen (2005), Journal of Financial Econometrics 3. Raises
    StudyError as :func:`realized_variance`.
    """
    from scipy.special import gamma, ndtr

    values = _days(returns, least=3)
    n = values.shape[-1]
    realized, bipower = np.asarray(realized_variance(values)), np.asarray(bipower_variation(values))

    power = np.abs(values) ** (4 / 3)
    mu = 2 ** (2 / 3) * gamma(7 / 6) / gamma(1 / 2)
    tripower = (power[..., 2:] * power[..., 1:-1] * power[..., :-2]).sum(axis=-1) * n * n / (n - 2) / mu**3

    continuous = windows.ratio(np.where(bipower > 0, bipower, np.nan), realized)
    spread = np.sqrt((np.pi**2 / 4 + np.pi - 5) / n * np.maximum(1.0, windows.ratio(tripower, bipower**2)))
    statistic = (1 - continuous) / spread
    return JumpShare(_plain(statistic), _plain(ndtr(-statistic)), _plain(np.maximum(1 - continuous, 0.0)))


def lee_mykland(returns, window, level=0.01):
    r"""Which bars jump: each return in units of the volatility just before it, as :class:`JumpBars`.

    .. math:: L_i = r_i / \hat\sigma_i, \qquad
        \hat\sigma_i^2 = \frac{1}{K - 2} \sum_{j=i-K+2}^{i-1} |r_j| |r_{j-1}|

    with K = ``window``; a bar jumps where :math:`(|L_i| - C_n) / S_n > -\log(-\log(1 - level))`, with
    :math:`c = \sqrt{2/\pi}`, :math:`S_n = 1 / (c \sqrt{2 \log n})` and
    :math:`C_n = \sqrt{2 \log n} / c - (\log \pi + \log\log n) / (2 c \sqrt{2 \log n})`, n being the number of bars
    tested. So ``level`` is the chance of a false alarm anywhere in the n bars, not in each.

    ``returns``: log returns ``[T]``, T > window + 1; L has no unit. The paper's windows are the root of the bars of
    a year: 16 for days, 78 for hours, 156 for 15 minutes, 270 for 5 minutes. Hours of the day with a volatility of
    their own must be evened out first, else lively hours count as jumps. A short window has more false alarms than
    ``level`` says: for level 0.05 we measured 0.78 of runs of 1,000 normal returns with window 16, 0.12 with 78 and
    0.07 with 270. NaN where the volatility is 0. Source: Lee and Mykland (2008), Review of Financial Studies 21.
    Raises StudyError for a window below 4, a level outside (0, 1), too few rows and values that are not finite.
    """
    window = whole_number("window", window, least=4)
    returns = series("returns", returns, least=window + 2)
    if not 0 < level < 1:
        raise StudyError(f"level: {level} is not between 0 and 1")
    size = np.abs(returns)
    variance = windows.lag(windows.total(size * windows.lag(size, 1), window - 2), 1) / (window - 2)
    statistic = windows.ratio(returns, np.sqrt(variance))

    root = np.sqrt(2 * np.log(len(returns) - window + 1))
    scale = 1 / (MEAN_ABSOLUTE * root)
    center = root / MEAN_ABSOLUTE - (np.log(np.pi) + np.log(root**2 / 2)) / 2 * scale
    threshold = float(center - scale * np.log(-np.log(1 - level)))
    p_value = -np.expm1(-np.exp((center - np.abs(statistic)) / scale))
    return JumpBars(statistic, p_value, np.abs(statistic) > threshold, threshold)


def _days(returns, least):
    values = np.asarray(returns, dtype="float64")
    if values.ndim == 0 or values.shape[-1] < least:
        raise StudyError(f"returns: at least {least} along the last axis are needed, the shape is {values.shape}")
    if not np.isfinite(values).all():
        raise StudyError(f"returns: {(~np.isfinite(values)).sum()} of {values.size} values are not finite")
    return values


def _plain(values):
    """A float in place of an array without axes."""
    return float(values) if np.ndim(values) == 0 else values
