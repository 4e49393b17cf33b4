"""Your own bars: one csv or parquet file per symbol, plain or gz."""

from datetime import timedelta
from pathlib import Path

import numpy as np

from scripts.common.errors import StudyError
from scripts.common.timeframes import duration
from scripts.market import raw_files, timestamps
from scripts.market.bars import PRICES

DIGITS = 10  # decimals that survive scaling: 103428.00000000001 points are 1.03428


def read(symbol, source, *, files, timeframe, calendar, span, seed):
    """The raw bars of one file and notes; see the package's docstring.

    Raises StudyError when the file is no table, lacks a column, or has stamps or prices that cannot be read.
    """
    import pandas as pd

    path = Path(files[0])
    columns = {role: name for role, name in source["columns"].items() if name is not None}
    raw = raw_files.load(path, columns, source["header"], source["skip_rows"])
    if raw.empty:
        raise StudyError(f"{path}: there is a header and not one row. Fetch the file again or remove the symbol")
    notes = {"file": path.name, "rows": len(raw)}
    daily = duration(timeframe) >= timedelta(days=1)
    try:
        stamps, reasons = timestamps.to_utc(raw["timestamp"], source["timezone"], source["timestamp_format"], daily)
    except StudyError as error:
        raise StudyError(f"{path}: {error}") from None
    frame = pd.DataFrame({"timestamp": stamps})
    for role in raw.columns.drop("timestamp"):
        frame[role], unread = _numbers(path, role, raw[role])
        reasons = np.where((reasons == None) & unread, f"not a number: {role}", reasons)  # noqa: E711
    if "volume" not in frame:
        frame["volume"] = 0.0
        notes["volume"] = "none in the source; 0 everywhere"
    _rescale(frame, source["price_scale"], source["volume_scale"])
    frame["reason"], frame["found"] = reasons, raw["timestamp"].astype(str).to_numpy()
    return frame, notes


def _numbers(path, role, column):
    """A column as float64, and where there stood something that is no number."""
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    if numbers.notna().sum() == 0:
        hint = "set columns.volume: null" if role == "volume" else "choose another column or another file"
        raise StudyError(f"{path}: the column for {role} has no number in any row; {hint}")
    return numbers.to_numpy(), (numbers.isna() & column.notna()).to_numpy()


def _rescale(frame, price_scale, volume_scale):
    for role in (*PRICES, "bid", "ask"):
        if price_scale != 1 and role in frame:
            frame[role] = (frame[role] * price_scale).round(DIGITS)
    if volume_scale != 1:
        frame["volume"] *= volume_scale
