"""Labels: what happens after a bar, and when that is known.

Every function takes a DataFrame of bars and returns ``timestamp, t1, y, forward_return``. A position is entered at the
close of the bar that opened at ``timestamp``; ``t1`` is the open time of the bar whose close (or range) ends the
label; ``forward_return`` is the log return of that position less the cost, in float64; ``y`` (int8) is 1 or 0.
Horizons count the bars that are there, so a label across a weekend or an outage ends late and its ``t1`` says so.
Rows whose label is not known (yet, or for want of a price above zero) are absent.

``lookahead`` and ``lookback`` are read at planning time: nothing heavier than numpy is imported at the top.
"""

import numpy as np

from scripts.market import windows


def lookahead(settings):
    """How many bars after a row its label may look at."""
    return settings["horizon"]


def lookback(settings):
    """How many bars before a row its label looks at."""
    return settings.get("volatility_window", 0)


def label(bars, settings):
    """Labels of the kind that ``settings`` (the config's ``label``, a dict) names."""
    kinds = {"direction": direction, "forward_return": forward_return, "triple_barrier": triple_barrier}
    return kinds[settings["kind"]](bars, **{key: value for key, value in settings.items() if key != "kind"})


def direction(bars, horizon):
    """y = 1 when the close ``horizon`` bars later is higher than the close."""
    return forward_return(bars, horizon, cost=0.0)


def forward_return(bars, horizon, cost):
    """y = 1 when the log return over ``horizon`` bars exceeds ``cost`` (a fraction, entry and exit together)."""
    close = bars["close"].to_numpy("float64")
    rows = np.arange(max(len(close) - horizon, 0))
    return _table(bars, rows, rows + horizon, close[rows + horizon], cost)


def triple_barrier(bars, horizon, take_profit, stop_loss, volatility_window, cost):
    """y = 1 when a long position that leaves at a barrier, or after ``horizon`` bars, gains more than ``cost``.

    The barriers lie ``take_profit`` and ``stop_loss`` times sigma * sqrt(horizon) above and below the entry in log
    price; sigma is the standard deviation of the log returns of the last ``volatility_window`` bars, known at entry.
    They are watched from the bar after the entry (Lopez de Prado, "Advances in Financial Machine Learning", 2018,
    section 3.3), and doubts are decided against the position: of a bar that touches both barriers the loss counts,
    a bar that opens beyond the stop is left at its open, and one that opens beyond the profit at the barrier.

    Rows need all ``horizon`` bars, also if a barrier is touched earlier (else the last rows would be those with
    quick exits only), and a volatility above zero.
    """
    open_, high, low, close = (bars[name].to_numpy("float64") for name in ("open", "high", "low", "close"))
    sigma = windows.deviation(windows.log_return(close, 1), volatility_window)
    rows = np.flatnonzero(sigma[: max(len(close) - horizon, 0)] > 0)
    width = sigma[rows] * np.sqrt(horizon)
    profit, stop = close[rows] * np.exp(take_profit * width), close[rows] * np.exp(-stop_loss * width)

    ends, exits = rows + horizon, close[rows + horizon]
    waiting = np.ones(len(rows), dtype=bool)
    for step in range(1, horizon + 1):
        bar = rows + step
        lost = waiting & (low[bar] <= stop)
        won = waiting & (high[bar] >= profit)
        exits = np.where(lost, np.minimum(stop, open_[bar]), np.where(won, profit, exits))
        ends = np.where(lost | won, bar, ends)
        waiting &= ~(lost | won)
    return _table(bars, rows, ends, exits, cost)


def _table(bars, rows, ends, exits, cost):
    """The labels of the bars at ``rows``, which end in the bars at ``ends`` at the prices ``exits``."""
    import pandas as pd

    entries = bars["close"].to_numpy("float64")[rows]
    sound = (entries > 0) & (exits > 0)
    gain = np.log(exits[sound] / entries[sound]) - cost
    stamps = bars["timestamp"]
    columns = {"timestamp": stamps.iloc[rows[sound]], "t1": stamps.iloc[ends[sound]]}
    table = pd.DataFrame({name: values.reset_index(drop=True) for name, values in columns.items()})
    return table.assign(y=(gain > 0).astype("int8"), forward_return=gain)
