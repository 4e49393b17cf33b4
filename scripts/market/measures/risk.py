"""Risk and performance of a series of returns.

Returns are simple returns per bar, fractions of the capital. ``risk_free`` and ``target`` are per bar too. A ratio is
per bar unless ``periods``, the bars of a year, is given: Sharpe-like ratios grow with its root, which holds for
returns that are not related over time. Losses are positive numbers. A ratio over 0 is NaN.
"""

from dataclasses import dataclass

import numpy as np

from scripts.common.errors import StudyError
from scripts.market.measures import aligned, series, whole_number


@dataclass(frozen=True)
class Drawdown:
    """The deepest fall: ``depth`` as a share of the peak in [0, 1), rows of ``peak`` and ``trough``.

    ``recovery`` is the first row after the trough that is at the peak's height again, None while there is none.
    """

    depth: float
    peak: int
    trough: int
    recovery: int | None


def sharpe(returns, risk_free=0.0, periods=1):
    r"""Sharpe ratio, :math:`\overline{r - r_f} / s(r - r_f) \cdot \sqrt{periods}`, s with n - 1.

    ``returns``: ``[n]``, n >= 2; ``risk_free``: a number or ``[n]``. Source: Sharpe (1966), Journal of Business 39,
    and (1994), Journal of Portfolio Management 21. Raises StudyError for too few returns and values not finite.
    """
    excess = _excess(returns, risk_free)
    return _ratio(excess.mean(), _deviation(excess)) * np.sqrt(periods)


def sortino(returns, target=0.0, periods=1):
    r"""Mean return above a target over the downside deviation, :math:`\sqrt{\overline{\min(r - target, 0)^2}}`.

    The mean under the root is over all n returns, not only the bad ones. ``target``: a number or ``[n]``. Source:
    Sortino and Price (1994), Journal of Investing 3. Errors as :func:`sharpe`.
    """
    excess = _excess(returns, target)
    return _ratio(excess.mean(), np.sqrt(np.mean(np.minimum(excess, 0.0) ** 2))) * np.sqrt(periods)


def treynor(returns, market, risk_free=0.0, periods=1):
    r"""Mean excess return per unit of market risk, :math:`\overline{r - r_f} \cdot periods / \beta` [fraction].

    beta is the slope of the excess returns on those of ``market`` ``[n]``; it must not be near 0, and the sign of the
    ratio is of use for positive beta only. Source: Treynor (1965), Harvard Business Review 43. Errors as
    :func:`sharpe`, also for lengths that differ.
    """
    returns, market = aligned(2, returns=returns, market=market)
    excess, excess_market = _excess(returns, risk_free), _excess(market, risk_free)
    if _deviation(excess_market) == 0:
        return float("nan")
    beta = np.cov(excess, excess_market)[0, 1] / np.var(excess_market, ddof=1)
    return _ratio(excess.mean() * periods, beta)


def information_ratio(returns, benchmark, periods=1):
    r"""Mean over standard deviation (n - 1) of the returns beyond a benchmark's, times :math:`\sqrt{periods}`.

    ``benchmark``: ``[n]``. Source: Goodwin (1998), Financial Analysts Journal 54. Errors as :func:`treynor`.
    """
    returns, benchmark = aligned(2, returns=returns, benchmark=benchmark)
    return sharpe(returns, benchmark, periods)


def calmar(returns, periods=1):
    """Compound growth per ``periods`` bars over the deepest drawdown (both fractions, no unit).

    Growth is :math:`(\\prod (1 + r))^{periods / n} - 1`; the drawdown counts from the capital at the start. Source:
    Young (1991), Futures. Raises StudyError as :func:`sharpe`, and for returns of -1 or less.
    """
    equity = np.concatenate([[1.0], np.cumprod(1 + series("returns", returns, 2, above=-1))])
    growth = equity[-1] ** (periods / (len(equity) - 1)) - 1
    return _ratio(growth, max_drawdown(equity).depth)


def max_drawdown(equity):
    r"""The deepest fall from a former height, :math:`\max_t (1 - E_t / \max_{s \le t} E_s)`, as :class:`Drawdown`.

    ``equity``: ``[n]`` values of the capital > 0, the first being that before the first return. Of equal falls it is
    the first; without any fall the depth is 0 and peak and trough are row 0. Source: folklore. Raises StudyError
    for values that are not above 0 or not finite.
    """
    equity = series("equity", equity, 1, above=0)
    falls = 1 - equity / np.maximum.accumulate(equity)
    trough = int(falls.argmax())
    peak = int(equity[: trough + 1].argmax())
    regained = np.flatnonzero(equity[trough:] >= equity[peak])
    return Drawdown(float(falls[trough]), peak, trough, trough + int(regained[0]) if len(regained) else None)


def omega_ratio(returns, threshold=0.0):
    r"""Gains over losses, :math:`\sum \max(r - \theta, 0) / \sum \max(\theta - r, 0)`.

    theta is ``threshold``, per bar; the ratio is above 1 just when the mean return is above it. Source: Keating and
    Shadwick (2002), Journal of Performance Measurement 6. Errors as :func:`sharpe`.
    """
    excess = _excess(returns, threshold)
    return _ratio(np.maximum(excess, 0.0).sum(), np.maximum(-excess, 0.0).sum())


def value_at_risk(returns, level=0.95, method="historical"):
    r"""The loss that is not exceeded with probability ``level``, a fraction, positive for a loss.

    historical: the smallest loss that at least ``level`` of the n losses do not exceed. normal:
    :math:`-\bar r + s z`, z the normal quantile of ``level``. cornish_fisher: the same with z corrected for skewness
    S and excess kurtosis K of the returns, :math:`w + (w^2 - 1) S / 6 + (w^3 - 3 w) K / 24 - (2 w^3 - 5 w) S^2 / 36`
    in the lower tail, w = -z (Cornish and Fisher 1938, Review of the International Statistical Institute 5); it goes
    wrong for strong skewness. Source: J.P. Morgan and Reuters (1996), RiskMetrics Technical Document. Raises
    StudyError for another method, a level outside (0, 1), too few returns and values not finite.
    """
    from scipy.special import ndtri
    from scipy.stats import kurtosis, skew

    returns = _tail_input(returns, level)
    if method == "historical":
        losses = np.sort(-returns)
        return float(losses[_rank(level * len(losses)) - 1])
    w = ndtri(1 - level)
    if method == "cornish_fisher" and np.ptp(returns) > 0:
        S, K = skew(returns), kurtosis(returns)
        w = w + (w**2 - 1) * S / 6 + (w**3 - 3 * w) * K / 24 - (2 * w**3 - 5 * w) * S**2 / 36
    elif method not in ("normal", "cornish_fisher"):
        raise StudyError(f"method: '{method}' is not historical, normal or cornish_fisher")
    return float(-returns.mean() - _deviation(returns) * w)


def expected_shortfall(returns, level=0.95, method="historical"):
    r"""Mean loss in the worst 1 - ``level`` of cases, a fraction, positive for a loss; never below the value at risk.

    historical: the mean of the n (1 - level) largest losses, the last of them counted by its part (Acerbi and Tasche
    2002, Journal of Banking and Finance 26). normal: :math:`-\bar r + s \phi(z) / (1 - level)`, phi the normal
    density. Source: also Rockafellar and Uryasev (2002), Journal of Banking and Finance 26. Errors as
    :func:`value_at_risk`.
    """
    from scipy.special import ndtri

    returns = _tail_input(returns, level)
    if method == "historical":
        losses, cases = np.sort(-returns)[::-1], len(returns) * (1 - level)
        weights = np.clip(cases - np.arange(len(losses)), 0.0, 1.0)
        return float(weights @ losses / cases)
    if method != "normal":
        raise StudyError(f"method: '{method}' is not historical or normal")
    density = np.exp(-(ndtri(level) ** 2) / 2) / np.sqrt(2 * np.pi)
    return float(-returns.mean() + _deviation(returns) * density / (1 - level))


def kelly_fraction(probability, gain, loss=1.0):
    """The share of the capital whose bet makes it grow fastest, p / loss - (1 - p) / gain.

    A bet of 1 wins ``gain`` with ``probability`` p and loses ``loss`` otherwise (both > 0; with loss 1 this is p - (1 -
    p) / gain). Below 0 the bet is not worth taking. Half of it or less is common, since p is an estimate. Numbers or
    arrays. Source: Kelly (1956), Bell System Technical Journal 35. Raises StudyError for values out of range.
    """
    p, gain, loss = (np.asarray(each, dtype="float64") for each in (probability, gain, loss))
    if not (((p >= 0) & (p <= 1)).all() and (gain > 0).all() and (loss > 0).all()):
        raise StudyError("kelly_fraction: a probability in [0, 1] and a gain and a loss above 0 are needed")
    share = p / loss - (1 - p) / gain
    return float(share) if share.ndim == 0 else share


def probabilistic_sharpe(returns, benchmark=0.0):
    """Probability that the true Sharpe ratio per bar exceeds ``benchmark`` (per bar), by :func:`sharpe_confidence`.

    ``returns``: ``[n]``, n >= 3, not related over time. Source: Bailey and Lopez de Prado (2012), Journal of Risk 15.
    Errors as :func:`sharpe`; NaN for constant returns.
    """
    from scipy.stats import kurtosis, skew

    returns = series("returns", returns, least=3)
    if np.ptp(returns) == 0:
        return float("nan")
    moments = {"skewness": float(skew(returns)), "kurtosis": float(kurtosis(returns, fisher=False))}
    return sharpe_confidence(sharpe(returns), len(returns), benchmark=benchmark, **moments)


def deflated_sharpe(returns, trials, trial_variance):
    """Probability that the true Sharpe ratio is above 0, the best of ``trials`` tries having been picked.

    The benchmark of :func:`probabilistic_sharpe` is :func:`expected_best_sharpe`: what the best of ``trials``
    strategies without skill is expected to show. ``trial_variance``: variance across the trials of their Sharpe
    ratios per bar. Source: Bailey and Lopez de Prado (2014), Journal of Portfolio Management 40. Errors as both.
    """
    return probabilistic_sharpe(returns, expected_best_sharpe(trials, trial_variance))


def sharpe_confidence(sharpe_ratio, n, skewness=0.0, kurtosis=3.0, benchmark=0.0):
    r"""Probability that a Sharpe ratio seen over n returns belongs to a true one above ``benchmark`` (both per bar).

    .. math:: \Phi\left( \frac{(SR - SR^*) \sqrt{n - 1}}{\sqrt{1 - \gamma_3 SR + (\gamma_4 - 1) SR^2 / 4}} \right)

    with the skewness :math:`\gamma_3` and the kurtosis :math:`\gamma_4` (3 for a normal) of the returns. Source:
    Bailey and Lopez de Prado (2012), Journal of Risk 15. Raises StudyError for n below 2 and for moments that no
    returns have (kurtosis below skewness squared plus 1).
    """
    from scipy.special import ndtr

    n = whole_number("n", n, least=2)
    if kurtosis < skewness**2 + 1 - 1e-9:
        raise StudyError(f"no returns have the skewness {skewness:g} and the kurtosis {kurtosis:g} (3 for a normal)")
    variance = 1 - skewness * sharpe_ratio + (kurtosis - 1) / 4 * sharpe_ratio**2
    return float(ndtr(_ratio((sharpe_ratio - benchmark) * np.sqrt(n - 1), np.sqrt(max(variance, 0.0)))))


def expected_best_sharpe(trials, trial_variance):
    r"""Sharpe ratio that the best of N trials without skill is expected to show [per bar, as the variance].

    .. math:: \sqrt{V} \left( (1 - \gamma) \Phi^{-1}(1 - 1/N) + \gamma \Phi^{-1}(1 - 1/(N e)) \right)

    gamma is the Euler-Mascheroni constant; 0 for a single trial. ``trials`` are independent ones: of related trials
    there are fewer than their number. Source: Bailey and Lopez de Prado (2014), Journal of Portfolio Management 40.
    Raises StudyError for fewer than 1 trial and a negative variance.
    """
    from scipy.special import ndtri

    if not trials >= 1 or not trial_variance >= 0:
        raise StudyError(f"trials: {trials} must be 1 or more, and their variance, {trial_variance}, not negative")
    if trials == 1:
        return 0.0
    best = (1 - np.euler_gamma) * ndtri(1 - 1 / trials) + np.euler_gamma * ndtri(1 - 1 / (trials * np.e))
    return float(np.sqrt(trial_variance) * best)


def _excess(returns, less):
    returns = series("returns", returns)
    return returns - (aligned(2, returns=returns, less=less)[1] if np.ndim(less) else float(less))


def _deviation(values):
    """Standard deviation (n - 1), exactly 0 where all values are equal."""
    return float(values.std(ddof=1)) if np.ptp(values) > 0 else 0.0


def _ratio(numerator, denominator):
    return float(numerator / denominator) if denominator != 0 else float("nan")


def _tail_input(returns, level):
    if not 0 < level < 1:
        raise StudyError(f"level: {level} is not between 0 and 1")
    return series("returns", returns)


def _rank(share):
    """The smallest whole number not below ``share``, forgiving the rounding of products such as 0.95 * 100."""
    return max(int(np.ceil(share - 1e-9)), 1)
