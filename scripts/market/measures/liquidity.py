"""Liquidity: spreads, price impact and order flow, from trades, quotes or bars.

Directions are +1 where the buyer and -1 where the seller started the trade; signed volumes likewise. A spread is the
whole one, from bid to ask.
"""

from dataclasses import dataclass

import numpy as np

from scripts.common.errors import StudyError
from scripts.market import windows
from scripts.market.measures import aligned, series, whole_number


@dataclass(frozen=True)
class PriceImpact:
    """The result of :func:`kyle_lambda`: price per unit of signed volume, its standard error, and R squared."""

    value: float
    standard_error: float
    r_squared: float


def amihud(returns, amounts):
    r"""Illiquidity: mean of :math:`|r_t| / A_t`, the move per unit of money traded [1 / currency of ``amounts``].

    ``returns``: simple returns ``[n]``; ``amounts``: traded value per bar. Bars without trading are left out; the
    paper multiplies by a million. Source: Amihud (2002), Journal of Financial Markets 5. Raises StudyError for
    negative amounts, none above 0, values that are not finite and lengths that differ.
    """
    returns, amounts = aligned(1, returns=returns, amounts=amounts)
    _not_negative("amounts", amounts)
    traded = amounts > 0
    if not traded.any():
        raise StudyError("amounts: nothing is traded in any bar, so there is no move per amount")
    return float(np.mean(np.abs(returns[traded]) / amounts[traded]))


def kyle_lambda(price_changes, signed_volumes):
    r"""Price impact: the least squares slope of :math:`\Delta p_t = a + \lambda q_t + e_t`, as :class:`PriceImpact`.

    ``price_changes``: ``[n]`` [price, or fraction when they are returns] over the interval in which the net signed
    volume ``signed_volumes`` ``[n]`` was traded, n >= 3. Higher is less liquid. Source: Kyle (1985), Econometrica
    53, whose lambda this estimates. Raises StudyError for volumes without variation, values that are not finite
    and lengths that differ.
    """
    from scipy.stats import linregress

    changes, volumes = aligned(3, price_changes=price_changes, signed_volumes=signed_volumes)
    if np.ptp(volumes) == 0:
        raise StudyError("signed_volumes: all are equal, so no slope can be told")
    fit = linregress(volumes, changes)
    return PriceImpact(float(fit.slope), float(fit.stderr), float(fit.rvalue) ** 2)


def roll_spread(prices):
    r"""Effective spread from trade prices alone, :math:`2 \sqrt{-cov(\Delta p_t, \Delta p_{t-1})}`.

    ``prices``: ``[n]``, n >= 4; the unit is that of the prices, and with log prices a fraction. The bounce between
    bid and ask makes successive changes negatively related. NaN where their covariance is above 0, which is
    common in short samples and with trends. Source: Roll (1984), Journal of Finance 39. Raises StudyError for too
    few prices and values that are not finite.
    """
    changes = np.diff(series("prices", prices, least=4))
    covariance = float(np.cov(changes[1:], changes[:-1])[0, 1])
    return 2 * float(np.sqrt(-covariance)) if covariance <= 0 else float("nan")


def corwin_schultz(high, low, close=None, negative=0.0):
    r"""Spread from the ranges of two neighbouring bars, a fraction of the price.

    .. math:: S = \frac{2 (e^\alpha - 1)}{1 + e^\alpha}, \quad
        \alpha = \frac{\sqrt{2\beta} - \sqrt\beta}{3 - 2\sqrt2} - \sqrt{\frac{\gamma}{3 - 2\sqrt2}}

    with beta the sum of :math:`\ln(H/L)^2` of bars t - 1 and t, gamma that of the range of both together: variance
    grows with time, the spread does not. Given ``close``, gaps between the bars are taken out as in the paper: a bar
    that lies wholly above or below the last close is moved to it. That leaves a part, so gaps still lower the
    estimate (below 0 where they exceed the range of the bars). ``high``, ``low``, ``close``: ``[n]`` prices ->
    ``[n]``, the first NaN; to be averaged over many bars (the paper: a month of days). Estimates below 0 become
    ``negative`` (the paper: 0, which lifts the average; None keeps them). Source: Corwin and Schultz (2012), Journal
    of Finance 67. Raises StudyError for prices that are not above 0 or not finite and highs below lows.
    """
    high, low = aligned(2, 0, high=high, low=low)
    if (high < low).any():
        row = int(np.argmax(high < low))
        raise StudyError(f"high: {high[row]:g} in row {row} is below the low, {low[row]:g}")
    top, bottom = high[1:], low[1:]
    if close is not None:
        _, last = aligned(2, 0, high=high, close=close)
        shift = np.maximum(bottom - last[:-1], 0.0) + np.minimum(top - last[:-1], 0.0)
        top, bottom = top - shift, bottom - shift
    beta = np.log(high[:-1] / low[:-1]) ** 2 + np.log(top / bottom) ** 2
    gamma = np.log(np.maximum(high[:-1], top) / np.minimum(low[:-1], bottom)) ** 2
    k = 3 - 2 * np.sqrt(2)
    alpha = (np.sqrt(2 * beta) - np.sqrt(beta)) / k - np.sqrt(gamma / k)
    spread = 2 * np.tanh(alpha / 2)
    if negative is not None:
        spread = np.where(spread < 0, negative, spread)
    return np.concatenate([[np.nan], spread])


def bulk_buys(price_changes, volumes, window=None):
    r"""The part of each bar's volume that buyers started, :math:`V_t \Phi(\Delta p_t / \sigma)`, ``[n]``.

    Bulk volume classification: Phi is the normal distribution function, sigma the standard deviation (n - 1) of the
    price changes of all bars as in the paper or, so that no row looks ahead, of the last ``window`` bars (NaN until
    there are as many). Half of the volume where sigma is 0. Source: Easley, Lopez de Prado and O'Hara (2012), Review
    of Financial Studies 25. Raises StudyError for negative volumes, fewer than 2 bars and values that are not finite.
    """
    from scipy.special import ndtr

    changes, volumes = aligned(2, price_changes=price_changes, volumes=volumes)
    _not_negative("volumes", volumes)
    if window is None:
        sigma = np.full(len(changes), changes.std(ddof=1) if np.ptp(changes) > 0 else 0.0)
    else:
        sigma = windows.deviation(changes, whole_number("window", window, least=2))
    share = np.where(sigma == 0, 0.5, ndtr(windows.ratio(changes, sigma)))
    return volumes * share


def vpin(buys, sells, bucket_volume, window=50):
    r"""Probability of informed trading by volume, :math:`\sum |V^B - V^S| / (n V)` over the last n buckets, in [0, 1].

    ``buys``, ``sells``: volume started by buyers and sellers per bar or trade ``[rows]`` (see :func:`bulk_buys`).
    Buckets hold ``bucket_volume`` = V each; a row that overflows a bucket is split in proportion, the last unfilled
    bucket is left out -> ``[buckets]``, NaN before ``window`` = n buckets are full. 1 when all flow is one-sided.
    Source: Easley, Lopez de Prado and O'Hara (2012), Review of Financial Studies 25 (V a fiftieth of a day's
    volume, n = 50). Raises StudyError for negative volumes, a bucket that is not above 0, values not finite.
    """
    buys, sells = aligned(1, buys=buys, sells=sells)
    _not_negative("buys", buys)
    _not_negative("sells", sells)
    window = whole_number("window", window)
    if not bucket_volume > 0:
        raise StudyError(f"bucket_volume: {bucket_volume} is not above 0")
    traded = np.concatenate([[0.0], np.cumsum(buys + sells)])
    net = np.concatenate([[0.0], np.cumsum(buys - sells)])
    some = np.concatenate([[True], np.diff(traded) > 0])  # np.interp wants rising stamps
    edges = np.arange(int(traded[-1] / bucket_volume + 1e-9) + 1) * bucket_volume
    imbalance = np.abs(np.diff(np.interp(edges, traded[some], net[some]))) / bucket_volume
    return np.minimum(windows.mean(imbalance, window), 1.0)


def effective_spread(prices, midquotes, directions, relative=False):
    r"""What a trade costs against the midquote, :math:`2 D (P - M)`, for each trade ``[n]``.

    ``prices`` P of trades and ``midquotes`` M in force just before them [price; with ``relative`` the result is
    divided by M, a fraction]; ``directions`` D: 1 or -1. Negative for a trade at a better price than the midquote.
    Source: Huang and Stoll (1996), Journal of Financial Economics 41. Raises StudyError for directions other than
    1 and -1, prices that are not above 0, values that are not finite and lengths that differ.
    """
    prices, midquotes, directions = _trades(prices, midquotes, directions)
    spread = 2 * directions * (prices - midquotes)
    return spread / midquotes if relative else spread


def realized_spread(prices, midquotes, directions, horizon, relative=False):
    r"""What the liquidity supplier keeps of it, :math:`2 D (P_t - M_{t+h})`, for each trade ``[n]``.

    M is the midquote ``horizon`` = h trades later; the last h trades are unknown, NaN. The effective spread less this
    is twice the price impact. Unit, source and errors as :func:`effective_spread` (``relative``: divided by the
    midquote at the trade); also StudyError for a horizon below 1.
    """
    prices, midquotes, directions = _trades(prices, midquotes, directions)
    horizon = whole_number("horizon", horizon)
    later = windows.lag(midquotes[::-1], horizon)[::-1]
    spread = 2 * directions * (prices - later)
    return spread / midquotes if relative else spread


def order_flow_imbalance(bid, bid_size, ask, ask_size):
    r"""Net change of depth at the best quotes by each update ``[n]``, the first NaN [units of size].

    .. math:: e_t = 1[b_t \ge b_{t-1}] q^b_t - 1[b_t \le b_{t-1}] q^b_{t-1}
                  - 1[a_t \le a_{t-1}] q^a_t + 1[a_t \ge a_{t-1}] q^a_{t-1}

    Summed over an interval it is the order flow imbalance, to which the price change is near proportional: buying
    pressure is positive. All ``[n]``, n >= 2. Source: Cont, Kukanov and Stoikov (2014), Journal of Financial
    Econometrics 12. Raises StudyError for negative sizes, values that are not finite and lengths that differ.
    """
    bid, bid_size, ask, ask_size = aligned(2, bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size)
    _not_negative("bid_size", bid_size)
    _not_negative("ask_size", ask_size)
    up, down = np.diff(bid) >= 0, np.diff(bid) <= 0
    demand = up * bid_size[1:] - down * bid_size[:-1]
    up, down = np.diff(ask) >= 0, np.diff(ask) <= 0
    supply = down * ask_size[1:] - up * ask_size[:-1]
    return np.concatenate([[np.nan], demand - supply])


def _trades(prices, midquotes, directions):
    prices, midquotes = aligned(1, 0, prices=prices, midquotes=midquotes)
    _, directions = aligned(1, prices=prices, directions=directions)
    if not np.isin(directions, (-1, 1)).all():
        raise StudyError("directions: 1 (buyer) and -1 (seller) only; leave out trades whose side is unknown")
    return prices, midquotes, directions


def _not_negative(name, values):
    if values.min() < 0:
        raise StudyError(f"{name}: {values.min():g} in row {values.argmin()}, but none may be negative")
