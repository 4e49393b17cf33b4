"""A simulated market of which the truth is known: how much of a bar's direction can be predicted.

The log return of bar t of a symbol, without the gap before a session, is

    r[t] = sigma[t] * (signal * s[t-1] + sqrt(c) * m[t] + sqrt(1-c) * e[t])

m is the market's shock, e the symbol's own; both have Student's t distribution with 5 degrees of freedom, scaled to
variance 1 and cut at 8 (fat tails). c is ``correlation``. sigma has a calm and a stressed regime (a Markov chain of
the whole market), slowly varying logarithms on top (AR(1), of the market and of the symbol), and a time of day; its
mean square is that of ``annual_volatility`` (moves between sessions come on top). s is the symbol's hidden state, AR(1)
with variance 1 and a half-life of ``STATE_HALF_LIFE`` bars. It shows itself in the volume, whose logarithm rises and
falls with it: what a model can learn. All of these are drawn independently of each other, so with ``signal: 0`` the
direction of returns is independent of everything known before (the shocks are symmetric about 0), while the volumes
stay the very same.

The oracle knows s[t] and ranks bars by it, which is the order of their probabilities to rise. Its AUC for the
direction over ``signal_horizon`` bars is a note of every symbol. What to expect, measured on one million bars:

    ========  ======  ======  ======  ======  ======  ======
    signal    1 bar   2 bars  3 bars  5 bars  12      24
    ========  ======  ======  ======  ======  ======  ======
    0.05      0.525   0.532   0.537   0.543   0.549   0.547
    0.10      0.551   0.564   0.574   0.586   0.597   0.591
    0.15      0.576   0.596   0.610   0.626   0.640   0.628
    0.20      0.600   0.626   0.643   0.663   0.677   0.657
    0.25      0.623   0.655   0.675   0.696   0.708   0.680
    0.30      0.646   0.682   0.703   0.726   0.733   0.698
    ========  ======  ======  ======  ======  ======  ======

A sample of 10,000 bars differs from these by a standard deviation of 0.006 over one bar and of 0.010 over five. A model
falls short of the oracle, and by much where labels overlap and training rows are few: they hold few independent labels.

Every series is drawn from a generator of its own and in the order of time: a later ``end`` or another symbol changes no
bar that was there before.
"""

import hashlib
from datetime import timedelta
from itertools import accumulate

import numpy as np

from scripts.common.errors import StudyError
from scripts.common.job import progress
from scripts.common.timeframes import duration
from scripts.market.calendars import bars_per_year, grid

STATE_HALF_LIFE = 8.0
FREEDOM, LARGEST_SHOCK = 5, 8.0
REGIME_LEVELS = (-0.25, 0.7)  # of log volatility: calm, stressed
REGIME_BARS = (800, 200)  # mean length
MARKET_LEVEL = (0.25, 120.0)  # standard deviation and half-life in bars of log volatility
SYMBOL_LEVEL = (0.10, 60.0)
DAY_SHAPE = 0.1  # amplitude over the day of log volatility and log volume
GAP = 1.5  # standard deviation of the move before a session, in those of a bar
VOLUME_BY_STATE, VOLUME_BY_VOLATILITY, VOLUME_BY_SHOCK, VOLUME_NOISE = 0.8, 0.25, 0.1, 0.1
DECIMALS = 6


def read(symbol, source, *, files, timeframe, calendar, span, seed):
    """The raw bars of a simulated symbol and notes with the oracle's AUC; see the package's docstring.

    Raises StudyError when the span of the simulation holds no bar of the calendar.
    """
    import pandas as pd

    stamps = grid(calendar, timeframe, source["start"], source["end"])
    if len(stamps) == 0:
        raise StudyError(
            f"simulate: no bar of {timeframe} on calendar {calendar} between {source['start']} and {source['end']}; "
            "choose a later end"
        )
    draw = Draws(seed, symbol)
    relative = relative_volatility(draw, stamps)
    state = autoregression(draw("state"), len(stamps), STATE_HALF_LIFE)
    shock = shocks(draw, len(stamps), source["correlation"])
    mean = source["signal"] * np.r_[0.0, state[:-1]]
    bar_volatility = source["annual_volatility"] / np.sqrt(bars_per_year(calendar, timeframe))
    sigma = bar_volatility * relative
    table = candles(draw, sigma, sigma * (mean + shock), session_gaps(draw, stamps, timeframe, sigma))
    table["volume"] = volumes(draw, stamps, relative, shock, state)
    auc = oracle(state, table["close"], source["signal"], source["signal_horizon"])
    if auc:
        progress.info(
            "%s: the oracle's AUC over %d bars is %.4f (%d bars)", symbol, auc["horizon"], auc["auc"], auc["n"]
        )
    return pd.DataFrame({"timestamp": stamps, **table}), {"oracle_auc": auc, "signal": source["signal"]}


class Draws:
    """Random generators by name: one per series, those of the market shared by all symbols."""

    def __init__(self, seed, symbol):
        self.seed, self.symbol = seed, symbol

    def __call__(self, series, market=False):
        """A fresh generator for one series of the symbol, or of the whole market."""
        name = f"{'' if market else self.symbol}/{series}"
        return np.random.default_rng([self.seed, int(hashlib.sha256(name.encode()).hexdigest()[:16], 16)])


def autoregression(rng, n, half_life):
    """A stationary Gaussian AR(1) series of variance 1, n values."""
    memory = 0.5 ** (1 / half_life)
    noise = rng.standard_normal(n) * np.sqrt(1 - memory**2)
    noise[:1] /= np.sqrt(1 - memory**2)
    return np.fromiter(accumulate(noise, lambda level, step: memory * level + step), float, n)


def regimes(rng, n):
    """Whether each bar is in the stressed regime: a two-state Markov chain that begins calm."""
    leaving = rng.random(n)
    chain = accumulate(leaving, lambda state, u: 1 - state if u < 1 / REGIME_BARS[state] else state, initial=0)
    return np.fromiter(chain, int, n + 1)[1:]


def relative_volatility(draw, stamps):
    """The bars' volatilities relative to their root mean square over all time."""
    stressed = regimes(draw("regime", market=True), len(stamps))
    (market_spread, market_life), (own_spread, own_life) = MARKET_LEVEL, SYMBOL_LEVEL
    level = np.asarray(REGIME_LEVELS)[stressed]
    level = level + market_spread * autoregression(draw("volatility", market=True), len(stamps), market_life)
    level = level + own_spread * autoregression(draw("volatility"), len(stamps), own_life)
    share = np.asarray(REGIME_BARS) / sum(REGIME_BARS)
    mean_square = share @ np.exp(2 * np.asarray(REGIME_LEVELS)) * np.exp(2 * (market_spread**2 + own_spread**2))
    return np.exp(level + day_shape(stamps)) / np.sqrt(mean_square)


def day_shape(stamps):
    """The time of day's part of log volatility and volume: highest at 18:00 UTC; 0 at midnight, so in daily bars."""
    hours = np.asarray(stamps.hour + stamps.minute / 60)
    return -DAY_SHAPE * np.sin(hours * np.pi / 12)


def shocks(draw, n, correlation):
    """A symbol's standardised shocks: variance 1, symmetric, correlated between symbols."""
    scale = np.sqrt((FREEDOM - 2) / FREEDOM)
    market, own = (
        np.clip(rng.standard_t(FREEDOM, n) * scale, -LARGEST_SHOCK, LARGEST_SHOCK)
        for rng in (draw("shock", market=True), draw("shock"))
    )
    return np.sqrt(correlation) * market + np.sqrt(1 - correlation) * own


def session_gaps(draw, stamps, timeframe, sigma):
    """Log moves between the close before a session and its first open; 0 inside a session."""
    opened = np.r_[False, np.diff(stamps.as_unit("us").asi8) > duration(timeframe) // timedelta(microseconds=1)]
    return np.where(opened, GAP * sigma * draw("gap").standard_normal(len(stamps)), 0.0)


def candles(draw, sigma, returns, gaps):
    """Open, high, low and close: the extremes of a Brownian bridge between open and close."""
    first = 10 ** draw("level").uniform(1, 3)
    close = np.log(first) + np.cumsum(returns + gaps)
    opened = close - returns
    u = 1 - draw("range").random((len(sigma), 2))
    # maximum of a Brownian bridge over one bar that ends `returns` higher; its minimum by symmetry
    reach = np.sqrt(returns[:, None] ** 2 - 2 * sigma[:, None] ** 2 * np.log(u))
    high = opened + (returns + reach[:, 0]) / 2
    low = opened + (returns - reach[:, 1]) / 2
    logs = {"open": opened, "high": high, "low": low, "close": close}
    return {name: np.round(np.exp(values), DECIMALS) for name, values in logs.items()}


def volumes(draw, stamps, relative, shock, state):
    """Volume rises with volatility, the size of the bar's shock, the time of day and the hidden state."""
    level = draw("liquidity").uniform(6, 12)
    noise = VOLUME_NOISE * draw("volume").standard_normal(len(stamps))
    size = VOLUME_BY_SHOCK * np.minimum(np.abs(shock), 3.0)
    logs = level + VOLUME_BY_VOLATILITY * np.log(relative) + size + day_shape(stamps) + VOLUME_BY_STATE * state + noise
    return np.round(np.exp(logs), DECIMALS)


def oracle(state, close, signal, horizon):
    """``{"horizon", "auc", "n"}``: how well the state ranks the direction over ``horizon`` bars; None if it cannot."""
    if signal == 0 or len(close) <= horizon:
        return None
    rises = close[horizon:] > close[:-horizon]
    positives = int(rises.sum())
    if positives in (0, len(rises)):
        return None
    ranks = np.empty(len(rises))
    ranks[np.argsort(state[:-horizon], kind="stable")] = np.arange(1, len(rises) + 1)
    wins = ranks[rises].sum() - positives * (positives + 1) / 2
    return {"horizon": horizon, "auc": round(float(wins / (positives * (len(rises) - positives))), 6), "n": len(rises)}
