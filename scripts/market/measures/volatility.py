"""Volatility: from returns, from the ranges of bars, and from models of its course.

Every volatility is a standard deviation per bar, a fraction of the price; for one per year multiply it by the root
of the bars of a year. The estimators from bars take prices ``[T]`` and return one float for all bars or, given a
``window``, ``[T]``: each row from the last ``window`` bars, NaN before there are as many.
"""

from dataclasses import dataclass

import numpy as np

from scripts.common.errors import StudyError
from scripts.market import windows
from scripts.market.measures import aligned, series, whole_number

FEWEST_RETURNS = 100  # below this a fit of a GARCH model says nothing


@dataclass(frozen=True)
class GarchFit:
    """A fitted model of the GARCH family; the unit of all is that of the returns given (fractions per bar).

    ``parameters`` and ``standard_errors`` (robust, Bollerslev and Wooldridge 1992) by name: mu, omega, alpha, gamma
    (the models with asymmetry), beta, nu (distribution t). ``persistence`` is what is left of a shock to the
    variance (EGARCH: to its log) after one bar, ``long_run_volatility`` the level that it returns to, ``volatility``
    ``[n]`` the conditional one of each row, known one bar before it, and ``next_volatility`` that of the bar to come.
    """

    parameters: dict[str, float]
    standard_errors: dict[str, float]
    persistence: float
    long_run_volatility: float
    volatility: np.ndarray
    next_volatility: float
    log_likelihood: float


@dataclass(frozen=True)
class HarFit:
    """A fitted :func:`har_rv`: coefficients and standard errors by name, and the next day's forecast."""

    coefficients: dict[str, float]
    standard_errors: dict[str, float]
    r_squared: float
    forecast: float


def garch(returns, distribution="normal"):
    r"""GARCH(1,1) with a constant mean, by maximum likelihood (package arch), as :class:`GarchFit`.

    .. math:: r_t = \mu + \epsilon_t, \qquad \sigma_t^2 = \omega + \alpha \epsilon_{t-1}^2 + \beta \sigma_{t-1}^2

    ``returns``: ``[n]``, n >= 100 (1,000 and more to be of use), fractions per bar; omega is a variance per bar, the
    persistence is alpha + beta and the long-run volatility :math:`\sqrt{\omega / (1 - \alpha - \beta)}`.
    ``distribution``: normal or t. Source: Bollerslev (1986), Journal of Econometrics 31. Raises StudyError for too
    few or constant returns, values that are not finite, and a fit that does not converge.
    """
    return _fit(returns, distribution, vol="GARCH", p=1, o=0, q=1)


def gjr_garch(returns, distribution="normal"):
    r"""GARCH(1,1) in which losses may count more than gains, as :class:`GarchFit`.

    .. math:: \sigma_t^2 = \omega + (\alpha + \gamma 1[\epsilon_{t-1} < 0]) \epsilon_{t-1}^2 + \beta \sigma_{t-1}^2

    gamma > 0: volatility rises more after losses. The persistence is alpha + gamma / 2 + beta. Source: Glosten,
    Jagannathan and Runkle (1993), Journal of Finance 48. Input and errors as :func:`garch`.
    """
    return _fit(returns, distribution, vol="GARCH", p=1, o=1, q=1)


def egarch(returns, distribution="normal"):
    r"""EGARCH(1,1), a model of the log variance, as :class:`GarchFit`.

    .. math:: \ln \sigma_t^2 = \omega + \alpha (|z_{t-1}| - \sqrt{2 / \pi}) + \gamma z_{t-1} + \beta \ln \sigma_{t-1}^2

    with :math:`z = \epsilon / \sigma`. gamma < 0 (the opposite sign of GJR): volatility rises more after losses. The
    persistence is beta; ``long_run_volatility`` is :math:`e^{\omega / (2 - 2 \beta)}`, that of the mean log variance
    for normal z. mu is the plain mean, taken out first: in it the likelihood has a kink at every return, over which
    numerical standard errors come out far too small. Source: Nelson (1991), Econometrica 59, who writes theta for
    gamma and gamma for alpha. Input and errors as :func:`garch`.
    """
    return _fit(returns, distribution, vol="EGARCH", p=1, o=1, q=1)


def har_rv(realized):
    r"""Regression of a day's realised volatility on its past day, week and month (package arch), as :class:`HarFit`.

    .. math:: RV_{t+1} = c + \beta_d RV_t + \beta_w \overline{RV}_{t-4..t} + \beta_m \overline{RV}_{t-21..t} + e

    ``realized``: ``[n]``, n >= 60 days: realised variances, their roots (as in the paper) or their logs; everything
    is in that unit. Least squares, standard errors robust to heteroskedasticity (White). Coefficients: const, day,
    week, month. Source: Corsi (2009), Journal of Financial Econometrics 7. Raises StudyError for too few or
    constant rows and values that are not finite.
    """
    from arch.univariate import HARX

    realized = series("realized", realized, least=60)
    scale = _spread("realized", realized)
    result = HARX(realized / scale, lags=[1, 5, 22], rescale=False).fit(disp="off")
    names = ("const", "day", "week", "month")
    unit = np.array([scale, 1.0, 1.0, 1.0])
    return HarFit(
        coefficients=_named(names, result.params.to_numpy()[:4] * unit),
        standard_errors=_named(names, result.std_err.to_numpy()[:4] * unit),
        r_squared=float(result.rsquared),
        forecast=float(result.forecast(horizon=1).mean.iloc[-1, 0] * scale),
    )


def ewma(returns, decay=0.94):
    r"""Exponentially weighted volatility, :math:`\sigma_{t+1|t}^2 = (1 - \lambda) r_t^2 + \lambda \sigma_{t|t-1}^2`.

    ``returns``: ``[n]`` fractions -> ``[n]``: row t is the volatility expected of the bar after t, known at t. The
    mean is taken as 0, and the weights of the rows that there are add up to 1, so no starting value is needed and
    the recursion holds once decay^t is small. ``decay``: 0.94 for days and 0.97 for months in the source, J.P.
    Morgan and Reuters (1996), RiskMetrics Technical Document. Raises StudyError for a decay outside (0, 1).
    """
    from scipy.signal import lfilter

    returns = series("returns", returns, least=1)
    if not 0 < decay < 1:
        raise StudyError(f"decay: {decay} is not between 0 and 1")
    weight = -np.expm1(np.log(decay) * np.arange(1, len(returns) + 1))
    return np.sqrt(lfilter([1 - decay], [1, -decay], returns**2) / weight)


def close_to_close(close, window=None):
    """Standard deviation (n - 1) of the log returns of the closes; a ``window`` counts returns, at least 2.

    ``close``: ``[T]`` prices. Source: folklore. Raises StudyError for prices that are not above 0 or not finite and
    for fewer than 3 of them.
    """
    (close,) = aligned(3, 0, close=close)
    return _last(np.log(close), window, lambda prices, n: windows.deviation(prices - windows.lag(prices, 1), n), 1)


def parkinson(high, low, window=None):
    r"""From the range of bars: :math:`\sigma^2 = \overline{\ln(H / L)^2} / (4 \ln 2)`.

    Five times as efficient as closes of bars that trade without a break and without drift; too low when trades are
    few, since the true extremes are missed, and blind to gaps between bars. Source: Parkinson (1980), Journal of
    Business 53. ``high``, ``low``: ``[T]`` prices. Raises StudyError for prices that are not above 0 or not finite,
    or a high below a low.
    """
    high, low = _logs(high=high, low=low)
    return _root_mean((high - low) ** 2 / (4 * np.log(2)), window)


def garman_klass(open, high, low, close, window=None):
    r"""From range and body: :math:`\sigma^2 = \overline{\frac12 \ln(H / L)^2 - (2 \ln 2 - 1) \ln(C / O)^2}`.

    7.4 times as efficient as closes under the conditions of :func:`parkinson`, whose weaknesses it shares. Source:
    Garman and Klass (1980), Journal of Business 53 (the form without the cross terms that they advise). Prices
    ``[T]``; errors as :func:`parkinson`, also for opens and closes outside the range.
    """
    open, high, low, close = _logs(open=open, high=high, low=low, close=close)
    return _root_mean((high - low) ** 2 / 2 - (2 * np.log(2) - 1) * (close - open) ** 2, window)


def rogers_satchell(open, high, low, close, window=None):
    r"""Free of drift: :math:`\sigma^2 = \overline{\ln(H/O) \ln(H/C) + \ln(L/O) \ln(L/C)}`.

    Six times as efficient as closes; blind to gaps between bars. Source: Rogers and Satchell (1991), Annals of
    Applied Probability 1. Input and errors as :func:`garman_klass`.
    """
    return _root_mean(_rogers_satchell(*_logs(open=open, high=high, low=low, close=close)), window)


def yang_zhang(open, high, low, close, window=None):
    r"""Free of drift and with the gaps between bars: :math:`\sigma^2 = V_O + k V_C + (1 - k) V_{RS}`.

    :math:`V_O` and :math:`V_C` are the variances (n - 1) of the gaps :math:`\ln(O_t / C_{t-1})` and the bodies
    :math:`\ln(C_t / O_t)`, :math:`V_{RS}` is that of :func:`rogers_satchell`, and
    :math:`k = 0.34 / (1.34 + (n + 1) / (n - 1))`. n, the ``window``, is 2 or more bars, each with the close before
    it. Source: Yang and Zhang (2000), Journal of Business 73. Input and errors as :func:`garman_klass`; also
    StudyError for fewer than 3 bars.
    """
    bars = _logs(3, open=open, high=high, low=low, close=close)

    def at_rows(bars, n):
        open, _, _, close = bars
        gaps = windows.deviation(open - windows.lag(close, 1), n) ** 2
        bodies = windows.deviation(close - open, n) ** 2
        inside = windows.mean(_rogers_satchell(*bars), n)
        k = 0.34 / (1.34 + (n + 1) / (n - 1))
        return np.sqrt(gaps + k * bodies + (1 - k) * np.maximum(inside, 0.0))

    return _last(np.array(bars), window, at_rows, 1)


def _fit(returns, distribution, **kind):
    """Fit at a scale where the variance is 1, which the optimiser needs, and bring the result back."""
    from arch import arch_model

    if distribution not in ("normal", "t"):
        raise StudyError(f"distribution: '{distribution}' is not normal or t")
    returns = series("returns", returns, least=FEWEST_RETURNS)
    scale = _spread("returns", returns)
    log_variance = kind["vol"] == "EGARCH"
    mean = float(returns.mean()) if log_variance else 0.0
    form = "Zero" if log_variance else "Constant"
    model = arch_model((returns - mean) / scale, mean=form, dist=distribution, rescale=False, **kind)
    result = model.fit(disp="off", show_warning=False)
    if result.convergence_flag != 0:
        raise StudyError(
            f"the {kind['vol']} fit of {len(returns)} returns does not converge: {result.optimization_result.message}. "
            "Take a longer span, or leave out stretches without trading"
        )
    names = [name.removesuffix("[1]") for name in result.params.index]
    moved, shift = _rescaling(names, scale, log_variance)
    parameters = _named(names, moved @ result.params.to_numpy() + shift)
    errors = _named(names, np.sqrt(np.diag(moved @ result.param_cov.to_numpy() @ moved.T)))
    if log_variance:
        parameters, errors = {"mu": mean} | parameters, {"mu": float(scale / np.sqrt(len(returns)))} | errors
    persistence, long_run = _long_run(parameters, log_variance)
    return GarchFit(
        parameters=parameters,
        standard_errors=errors,
        persistence=persistence,
        long_run_volatility=long_run,
        volatility=np.asarray(result.conditional_volatility) * scale,
        next_volatility=float(np.sqrt(result.forecast(horizon=1).variance.iloc[-1, 0])) * scale,
        log_likelihood=float(result.loglikelihood - len(returns) * np.log(scale)),
    )


def _rescaling(names, scale, log_variance):
    """Matrix and shift that turn the parameters for returns / scale into those for returns.

    A log variance rises by 2 ln scale, so its constant does by (1 - beta) 2 ln scale.
    """
    matrix, shift = np.eye(len(names)), np.zeros(len(names))
    omega, beta = names.index("omega"), names.index("beta")
    if log_variance:
        matrix[omega, beta] = -2 * np.log(scale)
        shift[omega] = 2 * np.log(scale)
    else:
        matrix[names.index("mu"), names.index("mu")] = scale
        matrix[omega, omega] = scale**2
    return matrix, shift


def _long_run(parameters, log_variance):
    """Persistence and the volatility that the model returns to; NaN when it returns to none."""
    omega, beta = parameters["omega"], parameters["beta"]
    persistence = beta if log_variance else parameters["alpha"] + beta + parameters.get("gamma", 0.0) / 2
    if persistence >= 1:
        return persistence, float("nan")
    level = omega / (1 - persistence)
    return persistence, float(np.exp(level / 2) if log_variance else np.sqrt(level))


def _named(names, values):
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def _spread(name, values):
    if np.ptp(values) == 0:
        raise StudyError(f"{name}: all {len(values)} values are equal, there is no volatility to model")
    return float(values.std())


def _logs(least=1, **prices):
    """Log prices; StudyError unless each bar's open and close lie within its range."""
    arrays = dict(zip(prices, aligned(least, 0, **prices), strict=True))
    top, bottom = arrays["high"], arrays["low"]
    bad = np.flatnonzero(np.any([(each > top) | (each < bottom) for each in arrays.values()], axis=0))
    if len(bad):
        seen = ", ".join(f"{name} {array[bad[0]]:g}" for name, array in arrays.items())
        raise StudyError(f"{len(bad)} bars leave their own range, the first in row {bad[0]}: {seen}")
    return [np.log(array) for array in arrays.values()]


def _rogers_satchell(open, high, low, close):
    return (high - open) * (high - close) + (low - open) * (low - close)


def _root_mean(variances, window):
    return _last(variances, window, lambda values, n: np.sqrt(windows.mean(values, n)), 0)


def _last(values, window, at_rows, before):
    """``at_rows(values, n)``, n the window or, without one, the last row for all bars but the first ``before``."""
    if window is None:
        return float(at_rows(values, values.shape[-1] - before)[-1])
    return at_rows(values, whole_number("window", window, least=1 + before))
