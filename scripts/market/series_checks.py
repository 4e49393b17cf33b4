"""What is noticed about bars that are kept: gaps, frozen prices, changes of meaning. Local in time.

Whatever is said of a month depends on that month and on what came before it, never on later bars, but for the first
bar of all, which is compared with the day after it.
"""

from datetime import timedelta

import numpy as np

from scripts.common.timeframes import duration
from scripts.market import calendars
from scripts.market.findings import as_iso, by_month, finding, months_of

DAY = timedelta(days=1)
LONG_GAP = timedelta(days=180)
VOLUME_CHANGE = 30.0  # ratio of one month's median volume to that of the month before
FEW_BARS = {True: 5, False: 24}  # daily or not: months with fewer bars say nothing about volume
COARSE_VOLUME, COARSE_RANGE = 10.0, 3.0  # first bar against the medians of the next 24
WHOLE_NUMBERS = 10_000.0  # prices from here on that have no decimals look like points
SAMPLE = 1000  # first bars, by which the scale of prices is judged


def check_series(bars, timeframe, calendar, max_gap, max_abs_log_return):
    """Findings about tidy ``bars`` (sorted, no NaN). ``max_gap`` counts open hours, a timeframe text such as "6h"."""
    if len(bars) < 2:
        return []
    stamps = bars["timestamp"].dt.tz_localize(None).to_numpy("datetime64[us]")
    values = {name: bars[name].to_numpy("float64") for name in ("open", "high", "low", "close", "volume")}
    step = duration(timeframe)
    return [
        *_gaps(stamps, timeframe, calendar, duration(max_gap)),
        *_frozen(stamps, values, step),
        *_volume(stamps, values["volume"], step),
        *_spikes(stamps, values, max_abs_log_return),
        *_first_bar(stamps, values, step),
        *_scale(stamps, values, calendar),
    ]


def missing_bars(stamps, timeframe, calendar):
    """How many expected bars are missing before each of ``stamps`` (datetime64, naive UTC, sorted); the first has 0."""
    step = duration(timeframe)
    expected = calendars.grid(calendar, timeframe, stamps[0] - np.timedelta64(step), stamps[-1] + np.timedelta64(step))
    expected = expected.tz_localize(None).to_numpy("datetime64[us]").astype("int64")
    length = min(step, DAY) // timedelta(microseconds=1)
    # bars that begin at 14:30 belong to the expected bar of 14:00
    places = np.searchsorted(expected, stamps.astype("int64") // length * length)
    return np.r_[0, np.maximum(np.diff(places) - 1, 0)]


def _gaps(stamps, timeframe, calendar, longest):
    """Silences in open hours, by the month in which bars come again; months of coarser bars are named as such."""
    missing = missing_bars(stamps, timeframe, calendar)
    silences = np.r_[np.timedelta64(0, "us"), np.diff(stamps)]
    found = []
    for rows in months_of(stamps):
        long = [row for row in rows if silences[row] > LONG_GAP]
        found += [_long_gap(stamps, row, missing[row]) for row in long]
        spacing = np.median(missing[rows]) + 1
        if spacing >= 2 and len(rows) >= 10 and (missing[rows] == spacing - 1).mean() >= 0.8:
            text = f"the bars of this month are {spacing:.0f} bars of {timeframe} apart"
            found.append(finding("coarser_bars", "warning", text, len(rows), stamps[rows[0]], stamps[rows[-1]]))
            continue
        gaps = [row for row in rows if missing[row] * duration(timeframe) > longest and row not in long]
        holidays = [row for row in gaps if _holiday(calendar, stamps[row - 1], stamps[row])]
        others = [row for row in gaps if row not in holidays]
        for kind, severity, chosen in (("gap", "warning", others), ("holiday_gap", "info", holidays)):
            if chosen:
                worst = max(chosen, key=lambda row: missing[row])
                text = f"{missing[worst]} bars of {timeframe} missing after {as_iso(stamps[worst - 1])}"
                text = text if len(chosen) == 1 else f"{len(chosen)} gaps; the longest: {text}"
                count = missing[chosen].sum()
                found.append(finding(kind, severity, text, count, stamps[chosen[0] - 1], stamps[chosen[-1]]))
    return found


def _long_gap(stamps, row, missing):
    """So long a silence that what follows may be something else."""
    days = (stamps[row] - stamps[row - 1]) // np.timedelta64(1, "D")
    end, start = (str(each)[:10] for each in (stamps[row - 1] + np.timedelta64(1, "D"), stamps[row]))
    text = (
        f"silence of {days} days: what follows may be another company or feed, or have false dates. "
        f"If so, keep one side by span: {{end: {end}}} or {{start: {start}}}"
    )
    return finding("long_gap", "error", text, missing, stamps[row - 1], stamps[row])


def _holiday(calendar, before, after):
    """Whether a silence lies at Christmas or New Year (metals: Good Friday too), when brokers close early or at all."""
    if calendar not in ("fx", "metals") or after - before > np.timedelta64(6, "D"):
        return False
    year = int(str(after)[:4])
    days = [f"{each}-12-25" for each in (year - 1, year)] + [f"{each}-01-01" for each in (year, year + 1)]
    if calendar == "metals":
        from dateutil.easter import easter

        days.append(str(easter(year) - timedelta(days=2)))
    noon = [np.datetime64(day) + np.timedelta64(12, "h") for day in days]
    return any(before < each < after or abs(after - each) < np.timedelta64(1, "D") for each in noon)


def _frozen(stamps, values, step):
    """Bars that have not moved for a day (daily bars: for a week), by month."""
    still = (values["high"] == values["low"]) & (values["close"] == np.r_[np.nan, values["close"][:-1]])
    enough = 5 if step >= DAY else max(DAY // step, 6)
    moved = np.where(still, 0, np.arange(len(still)))
    frozen = np.arange(len(still)) - np.maximum.accumulate(moved) >= enough
    closes = values["close"][frozen]
    return by_month(
        "frozen_price",
        "warning",
        stamps[frozen],
        lambda rows: f"no move in {enough} bars or more, at {closes[rows[0]]:g}",
    )


def _volume(stamps, volume, step):
    """Months in which volume has another meaning than before: other units, none at all, some again."""
    found, former = [], None
    for rows in months_of(stamps):
        if len(rows) < FEW_BARS[step >= DAY]:
            continue
        part = volume[rows]
        level = float(np.median(part[part > 0])) if (part > 0).mean() > 0.5 else 0.0
        first, last = stamps[rows[0]], stamps[rows[-1]]
        if former is None and level == 0:
            found.append(finding("no_volume", "info", "the volume is 0", len(rows), first, last))
        elif former is not None and (level == 0) != (former == 0):
            text = (
                "the volume is 0 from this month on"
                if level == 0
                else f"the volume was 0 before, its median is {level:g} now"
            )
            found.append(finding("volume_unit", "warning", text, len(rows), first, last))
        elif former and max(level / former, former / level) > VOLUME_CHANGE:
            text = f"the median volume went from {former:g} to {level:g} within a month: other units?"
            found.append(finding("volume_unit", "warning", text, len(rows), first, last))
        former = level
    return found


def _spikes(stamps, values, limit):
    """Bars whose high or low is further from open and close than the limit."""
    up = np.log(values["high"] / np.maximum(values["open"], values["close"]))
    down = np.log(np.minimum(values["open"], values["close"]) / values["low"])
    rows = np.maximum(up, down) > limit
    size = np.maximum(up, down)[rows]
    return by_month(
        "spike",
        "warning",
        stamps[rows],
        lambda month: f"high or low is {size[month].max():.2f} (log) away from open and close",
    )


def _first_bar(stamps, values, step):
    """A first bar that is as long as many: the day's bar at the top of an hourly file."""
    if step >= DAY or len(stamps) < 25:
        return []
    spread = np.log(values["high"][:25] / values["low"][:25])
    volume = values["volume"][:25]
    if volume[0] > COARSE_VOLUME * np.median(volume[1:]) > 0 and spread[0] > COARSE_RANGE * np.median(spread[1:]):
        text = f"volume {volume[0]:g}, median of the next 24 {np.median(volume[1:]):g}: a bar of a coarser timeframe?"
        return [finding("coarse_first_bar", "warning", text, 1, stamps[0])]
    return []


def _scale(stamps, values, calendar):
    """Prices in points: on currencies and metals, whole numbers from 10,000 on."""
    prices = np.concatenate([values[name][:SAMPLE] for name in ("open", "high", "low", "close")])
    if (
        calendar in ("fx", "metals")
        and (prices >= WHOLE_NUMBERS).all()
        and (np.abs(prices - prices.round()) < 1e-6).all()
    ):
        text = (
            f"whole numbers such as {prices[0]:.0f} look like points: set source.price_scale, such as 0.001 or 0.00001"
        )
        return [finding("price_scale", "warning", text, min(len(stamps), SAMPLE), stamps[0])]
    return []
