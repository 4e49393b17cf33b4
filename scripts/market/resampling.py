"""Coarser bars from finer ones."""

from datetime import timedelta

import numpy as np

from scripts.common.errors import StudyError
from scripts.common.timeframes import duration

# What becomes of a column's values, given the first and the last row of every bin.
MERGES = {
    "open": lambda values, first, last: values[first],
    "high": lambda values, first, last: np.maximum.reduceat(values, first),
    "low": lambda values, first, last: np.minimum.reduceat(values, first),
    "close": lambda values, first, last: values[last],
    "volume": lambda values, first, last: np.add.reduceat(values, first),
    "amount": lambda values, first, last: np.add.reduceat(values, first),
    "bid": lambda values, first, last: values[last],
    "ask": lambda values, first, last: values[last],
}


def resample(bars, source_timeframe, timeframe):
    """Bars of ``timeframe`` from ``bars`` (timestamp = open time, sorted) of ``source_timeframe``.

    Bins are aligned to the epoch in UTC and stamped with their open: 4h bars open at 00:00, 04:00, ...; 24h bars at
    midnight. Open is the first, high the greatest, low the least, close (bid, ask) the last, volume (amount) the sum
    of the bars in the bin. Bins without bars are absent. The same timeframe gives ``bars`` as they are.

    A bin at the end of the data may be unfinished; it is kept. Nothing gets stale by that: the bars which finish it
    lie in the same day, so they change the digest of its month, and the period that holds the bin is made again.

    Raises StudyError when ``timeframe`` is no multiple of the source's, or neither divides a day nor is one.
    """
    import pandas as pd

    source, target = duration(source_timeframe), duration(timeframe)
    if target == source:
        return bars
    if target % source:
        raise StudyError(
            f"timeframe {timeframe} cannot be made of bars of {source_timeframe}: it is no multiple of them. "
            f"Choose a multiple of {source_timeframe} or a finer source"
        )
    if timedelta(days=1) % target:
        raise StudyError(
            f"timeframe {timeframe} does not divide a day, so its bars would open at other hours each day. "
            "Choose one that does (such as 2h, 4h, 6h, 8h, 12h) or 1d"
        )
    if bars.empty:
        return bars.copy()
    stamps = bars["timestamp"].dt.as_unit("us").astype("int64").to_numpy()
    step = target // timedelta(microseconds=1)
    bins = stamps // step * step
    first = np.flatnonzero(np.r_[True, bins[1:] != bins[:-1]])
    last = np.r_[first[1:], len(bins)] - 1
    merged = {"timestamp": pd.to_datetime(bins[first], unit="us", utc=True).as_unit("us")}
    for column in bars.columns.drop("timestamp"):
        merged[column] = MERGES[column](bars[column].to_numpy(), first, last)
    return pd.DataFrame(merged)
