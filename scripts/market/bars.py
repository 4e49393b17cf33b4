"""Bars: the one form in which every market's prices are kept.

A table of bars has ``timestamp`` (datetime64[us, UTC], sorted, unique, the bar's open time), ``open``, ``high``,
``low``, ``close`` and ``volume`` (float64) and, where the source has them, ``amount`` (turnover in the quote
currency), ``bid`` and ``ask`` (at the bar's close).
"""

import hashlib

from scripts.common.errors import StudyError
from scripts.common.periods import iso, stamp

PRICES = ("open", "high", "low", "close")
OPTIONAL = ("amount", "bid", "ask")
VALUES = (*PRICES, "volume", *OPTIONAL)
STAMP_TYPE = "datetime64[us, UTC]"


def tidy(frame):
    """The columns of ``frame`` that bars have, in their order and types; other columns are left out.

    Raises StudyError when a required column is missing.
    """
    missing = [name for name in ("timestamp", *PRICES, "volume") if name not in frame.columns]
    if missing:
        raise StudyError(
            f"bars need the columns timestamp, open, high, low, close, volume; missing: {', '.join(missing)}"
        )
    columns = [name for name in VALUES if name in frame.columns]
    tidied = frame[["timestamp", *columns]].reset_index(drop=True)
    return tidied.astype({"timestamp": STAMP_TYPE} | dict.fromkeys(columns, "float64"))


def read(path, start=None, end=None):
    """The bars of a parquet file in the half-open interval [start, end) (UTC; ISO text or datetime; None: open)."""
    import pandas as pd

    filters = []
    for moment, comparison in ((start, ">="), (end, "<")):
        if moment is not None:
            filters.append(("timestamp", comparison, pd.Timestamp(stamp(moment)).as_unit("us")))
    return tidy(pd.read_parquet(path, filters=filters or None))


def month_digests(frame):
    """``{"2021-02": {"rows": n, "sha256": hex}}`` of the months of ``frame``.

    The digest is of the values (column names, int64 microseconds, float64), not of the bytes of any file.
    """
    import numpy as np

    # -0.0 equals 0.0, and all NaN are alike: equal values get equal bytes
    values = {name: frame[name].to_numpy("float64") + 0.0 for name in frame.columns if name != "timestamp"}
    values = {name: np.where(np.isnan(each), np.nan, each).astype("<f8") for name, each in values.items()}
    stamps = frame["timestamp"].dt.tz_localize(None).to_numpy("datetime64[us]")
    months = stamps.astype("datetime64[M]")
    cuts = np.flatnonzero(months[1:] != months[:-1]) + 1
    digests = {}
    for rows in np.split(np.arange(len(frame)), cuts):
        if len(rows) == 0:
            continue
        part = slice(rows[0], rows[-1] + 1)
        digest = hashlib.sha256(" ".join(["timestamp", *values]).encode())
        digest.update(stamps[part].astype("<i8").tobytes())
        for column in values.values():
            digest.update(column[part].tobytes())
        digests[str(months[rows[0]])] = {"rows": len(rows), "sha256": digest.hexdigest()}
    return digests


def account(frame, *, symbol, timeframe, findings, quarantined, notes):
    """What a symbol's ingest says about its bars: span, months with their digests, findings (a dict for JSON).

    ``quarantined`` is the number of rows kept out, ``notes`` what the source says about itself.
    """
    return {
        "symbol": symbol,
        "timeframe": timeframe,
        "first": iso(frame["timestamp"].iloc[0].to_pydatetime()),
        "last": iso(frame["timestamp"].iloc[-1].to_pydatetime()),
        "rows": len(frame),
        "months": month_digests(frame),
        "findings": findings,
        "quarantined": quarantined,
        "notes": notes,
    }
