"""Trading calendars: when a market is open, and which bars are expected then.

A bar is expected where its interval [open, open + timeframe) overlaps trading hours. Bars are aligned to the epoch in
UTC, as ``scripts.market.resampling`` makes them: a stock exchange that opens at 14:30 UTC has hourly bars from 14:00.
Bars of a day are stamped midnight UTC of their session's date. The time zone rules are those of the IANA data base.
"""

import functools
from datetime import timedelta

import numpy as np

from scripts.common.errors import StudyError
from scripts.common.timeframes import duration

DAY = timedelta(days=1)
EXCHANGES = {"XNYS": "XNYS", "CME": "CMES"}  # name here to name in exchange_calendars
NEW_YORK = "America/New_York"
FIRST_YEAR = 1900


def grid(calendar, timeframe, start, end):
    """The opens of the bars expected in the half-open interval [start, end): a DatetimeIndex in UTC.

    ``calendar`` is always, fx, metals, XNYS or CME. fx trades from Sunday to Friday 17:00 New York time; metals are
    closed from 17:00 to 18:00 on each of these days as well. Raises StudyError for an unknown calendar.
    """
    import pandas as pd

    start, end = _utc(start), _utc(end)
    step = pd.Timedelta(duration(timeframe))
    bars = pd.date_range(start.ceil(min(step, pd.Timedelta(DAY))), end, freq=step, unit="us")
    bars = bars[bars < end]
    return bars[is_open(calendar, timeframe, bars)]


def is_open(calendar, timeframe, stamps, slack=timedelta(0)):
    """Whether bars of ``timeframe`` that open at ``stamps`` (DatetimeIndex, UTC, any order) overlap trading hours.

    Bars of a day or more count by the session whose date they are stamped with. NaT is never open. ``slack`` widens
    trading hours on both sides (not those of daily bars).
    """
    import pandas as pd

    if len(stamps) == 0:
        return np.zeros(0, bool)
    if calendar == "always":
        return np.asarray(stamps.notna())
    step = duration(timeframe)
    known = stamps[stamps.notna()]
    if known.empty:
        return np.zeros(len(stamps), bool)
    if step >= DAY:
        open_days = sessions(calendar, known.min() - 7 * DAY, known.max() + 7 * DAY).index
        return np.asarray(stamps.isin(open_days))
    hours = trading_hours(calendar, known.min() - 7 * DAY, known.max() + 7 * DAY)
    opens, closes = (hours[name].to_numpy("datetime64[us]") for name in ("open", "close"))
    begins = stamps.tz_convert("UTC").tz_localize(None).to_numpy("datetime64[us]")
    # the last interval that opens before the bar's end must close after the bar's begin
    slack = np.timedelta64(slack)
    before = np.searchsorted(opens - slack, begins + np.timedelta64(step), side="left") - 1
    result = (before >= 0) & (closes[np.maximum(before, 0)] + slack > begins)
    return result & ~pd.isna(stamps)


def sessions(calendar, start, end):
    """Sessions with dates in [start, end]: a DataFrame indexed by date (midnight UTC) with ``open`` and ``close``.

    Raises StudyError for a calendar without sessions or an unknown one.
    """
    import pandas as pd

    first, last = max(_utc(start).year, FIRST_YEAR), _utc(end).year
    if calendar in ("fx", "metals"):
        table = _new_york_sessions(calendar, first, last)
    elif calendar in EXCHANGES:
        table = _exchange_sessions(calendar, first, last)
    else:
        raise StudyError(f"there is no calendar '{calendar}'; there are: always, fx, metals, {', '.join(EXCHANGES)}")
    index = pd.DatetimeIndex(table.index)
    return table[(index >= _utc(start).floor("D")) & (index <= _utc(end))]


def trading_hours(calendar, start, end):
    """Intervals in which the market is open: a DataFrame with ``open`` and ``close`` (naive UTC), sorted, disjoint."""
    table = sessions(calendar, start, end)
    return table.reset_index(drop=True)


@functools.lru_cache(maxsize=64)
def bars_per_year(calendar, timeframe):
    """How many bars of ``timeframe`` the calendar has in a mean year (of 2015 to 2018)."""
    return len(grid(calendar, timeframe, "2015-01-01", "2019-01-01")) / 4


@functools.lru_cache(maxsize=32)
def _new_york_sessions(calendar, first, last):
    """Monday to Friday; a session begins at 17:00 New York time (metals: 18:00) of the day before and ends at 17:00."""
    import pandas as pd

    days = pd.bdate_range(f"{first}-01-01", f"{last}-12-31", unit="us")
    opening = 17 if calendar == "fx" else 18
    hours = {
        "open": days - DAY + timedelta(hours=opening),
        "close": days + timedelta(hours=17),
    }
    # 17:00 and 18:00 exist once on every day: New York changes its clocks at 02:00
    table = pd.DataFrame(
        {name: each.tz_localize(NEW_YORK).tz_convert("UTC").tz_localize(None) for name, each in hours.items()}
    )
    table.index = days.tz_localize("UTC")
    return table


@functools.lru_cache(maxsize=32)
def _exchange_sessions(calendar, first, last):
    import exchange_calendars
    import pandas as pd

    # both bounds are given, because the defaults depend on today's date
    exchange = exchange_calendars.get_calendar(EXCHANGES[calendar], start=f"{first}-01-01", end=f"{last}-12-31")
    table = exchange.schedule[["open", "close"]]
    table = table.apply(lambda column: column.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[us]"))
    table.index = pd.DatetimeIndex(table.index).tz_localize("UTC").as_unit("us")
    return table


def _utc(moment):
    import pandas as pd

    moment = pd.Timestamp(moment)
    moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
    return moment.as_unit("us")
