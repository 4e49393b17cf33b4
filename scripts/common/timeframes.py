"""Timeframes of bars ("15m", "1h", "1d") as durations. Read at planning time: imports nothing heavy."""

import re
from datetime import timedelta

from scripts.common.errors import StudyError

UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
CALENDARS = ("always", "fx", "metals", "XNYS", "CME")
# The share of all hours in which a market is open: a lower bound, so that spans err on the generous side.
OPEN_SHARE = {"always": 1.0, "fx": 0.70, "metals": 0.66, "CME": 0.66, "XNYS": 0.18}
OPEN_DAYS = {"always": 1.0, "fx": 0.70, "metals": 0.70, "CME": 0.67, "XNYS": 0.67}
# Holidays and long weekends cluster: a few bars back can be many days back. Outages close every market.
CLOSED_DAYS = {"always": 1, "fx": 5, "metals": 5, "CME": 6, "XNYS": 7}


def duration(timeframe):
    """The duration of one bar. Raises StudyError for a text that is no timeframe."""
    match = re.fullmatch(r"([1-9]\d*)([mhd])", str(timeframe))
    if not match:
        raise StudyError(f"'{timeframe}' is no timeframe: write a number and m, h or d, such as 15m, 1h, 4h or 1d")
    return int(match[1]) * UNITS[match[2]]


def span_of(bars, timeframe, calendar):
    """A time that surely covers ``bars`` bars of ``timeframe`` on ``calendar``, closed hours included.

    Used to decide how much history a job reads, so it errs on the long side; no bars are no time.
    """
    if not bars:
        return timedelta(0)
    step = duration(timeframe)
    share = OPEN_DAYS[calendar] if step >= timedelta(days=1) else OPEN_SHARE[calendar]
    return bars * step / share + timedelta(days=CLOSED_DAYS[calendar])
