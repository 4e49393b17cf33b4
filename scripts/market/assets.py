"""Assets: figures that describe a symbol's bars as a whole."""

import numpy as np

from scripts.common.periods import iso
from scripts.common.timeframes import duration
from scripts.market.calendars import bars_per_year, grid


def describe(frame, *, timeframe, calendar):
    """Figures of a symbol's bars (a frame as :mod:`scripts.market.bars` has them), as a dict for JSON."""
    return {
        "median_daily_dollar_volume": median_daily_dollar_volume(frame),
        "annualised_volatility": annualised_volatility(frame["close"], bars_per_year(calendar, timeframe)),
        "largest_gap": largest_gap(frame["timestamp"], timeframe=timeframe, calendar=calendar),
    }


def median_daily_dollar_volume(frame):
    """The median over UTC days of the turnover in the quote currency; None where the source has no volume.

    The turnover is ``amount`` where the source has it, else close times volume.
    """
    turnover = frame["amount"] if "amount" in frame else frame["close"] * frame["volume"]
    if not (turnover > 0).any():
        return None
    return float(turnover.groupby(frame["timestamp"].dt.floor("D")).sum().median())


def annualised_volatility(close, bars_each_year):
    """The standard deviation of the log returns of neighbouring bars, times the root of the bars in a year.

    Nights and weekends count as one bar's return. None with fewer than two returns.
    """
    close = close.to_numpy("float64")
    returns = np.diff(np.log(close[close > 0]))
    return float(returns.std(ddof=1) * np.sqrt(bars_each_year)) if len(returns) > 1 else None


def largest_gap(stamps, *, timeframe, calendar):
    """The longest silence within trading hours: ``{"bars", "hours", "after", "before"}``, or None without any.

    ``bars`` of the calendar are missing between the bars that open at ``after`` and ``before``; ``hours`` is their
    number times the timeframe.
    """
    import pandas as pd

    if len(stamps) < 2:
        return None
    step = pd.Timedelta(duration(timeframe))
    # a bar that opens within a slot of the calendar's grid fills it: stock exchanges open at half past
    opens = pd.DatetimeIndex(stamps).floor(min(step, pd.Timedelta(days=1)))
    expected = grid(calendar, timeframe, opens[0], opens[-1] + step)
    missing = expected.searchsorted(opens[1:], side="left") - expected.searchsorted(opens[:-1], side="right")
    longest = int(missing.argmax())
    if missing[longest] <= 0:
        return None
    return {
        "bars": int(missing[longest]),
        "hours": float(missing[longest] * (step / pd.Timedelta(hours=1))),
        "after": iso(stamps.iloc[longest].to_pydatetime()),
        "before": iso(stamps.iloc[longest + 1].to_pydatetime()),
    }
