"""What a trade on either side would have brought: the triple barrier of the market stage, with costs."""

import numpy as np

from scripts.market import labels, windows


def measure(bars, exit):
    """The outcome of a long and of a short position opened at each bar's close, a DataFrame.

    ``bars``: DataFrame of bars; ``exit``: dict with horizon, take_profit, stop_loss, volatility_window, cost (see
    :func:`scripts.market.labels.triple_barrier`). Columns: ``row`` (place in bars), ``timestamp``, ``t1`` (when both
    positions have ended), ``width`` (sigma * sqrt(horizon), a log return), ``long`` and ``short`` (log returns after
    cost). Rows whose outcome is not known are absent.
    """
    settings = {key: exit[key] for key in ("horizon", "take_profit", "stop_loss", "volatility_window", "cost")}
    long, short = (labels.triple_barrier(each, **settings) for each in (bars, inverted(bars)))
    both = long.merge(short, on="timestamp", suffixes=("", "_short"))
    close = bars["close"].to_numpy("float64")
    sigma = windows.deviation(windows.log_return(close, 1), exit["volatility_window"])
    row = np.searchsorted(bars["timestamp"].to_numpy(), both["timestamp"].to_numpy())
    return both.assign(
        row=row,
        t1=both[["t1", "t1_short"]].max(axis=1),
        width=sigma[row] * np.sqrt(exit["horizon"]),
        long=both["forward_return"],
        short=both["forward_return_short"],
    )[["row", "timestamp", "t1", "width", "long", "short"]]


def inverted(bars):
    """Bars of 1/price: a long position in them is a short one in ``bars``, in log returns and barriers alike."""
    prices = {"open": "open", "high": "low", "low": "high", "close": "close"}
    return bars.assign(**{name: 1 / bars[source] for name, source in prices.items()})
