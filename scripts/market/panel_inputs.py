"""What formulas may need beside bars: groups of firms, a benchmark, and factors by day."""

from datetime import timedelta

import numpy as np

from scripts.common.errors import StudyError
from scripts.common.timeframes import duration

GROUPS = ("sector", "industry", "subindustry")
FACTORS = ("mkt", "smb", "hml")
# For how long the last known factors hold: over a long weekend.
STALE = np.timedelta64(7, "D")


def read(given, files, panel, timeframe):
    """The optional inputs of a feature set as keyword arguments.

    ``given``: what the market has of them, True for a file; ``files``: a job's inputs, with the paths; ``panel``:
    ``{symbol: DataFrame of bars}``. Gives ``industries`` ``{symbol: {group: name}}``, ``benchmark`` the bars of the
    symbol that is it, and ``factors`` a DataFrame of ``FACTORS`` on the union of the panel's stamps. Raises StudyError
    for files that are not what they should be.
    """
    found = dict(given)
    if "benchmark" in given:
        found["benchmark"] = panel[given["benchmark"]]
    if given.get("industries") is True:
        found["industries"] = read_industries(files["industries"][0], list(panel))
    if given.get("factors") is True:
        found["factors"] = align_factors(read_factors(files["factors"][0]), panel, timeframe)
    return found


def read_industries(path, symbols):
    """``{symbol: {group: name}}`` of a csv; a group that is missing there, or empty, is None."""
    import pandas as pd

    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    groups = [each for each in GROUPS if each in table]
    if "symbol" not in table or not groups:
        raise StudyError(f"{path} needs the column symbol and at least one of {', '.join(GROUPS)}")
    twice = sorted(table["symbol"][table["symbol"].duplicated()])
    lacking = [symbol for symbol in symbols if symbol not in set(table["symbol"])]
    if twice or lacking:
        what = f"has {twice[0]} more than once" if twice else f"lacks {', '.join(lacking)}"
        raise StudyError(f"{path} {what}: every symbol of the market needs one line")
    known = table.set_index("symbol")
    return {
        symbol: {each: known.at[symbol, each] or None if each in groups else None for each in GROUPS}
        for symbol in symbols
    }


def read_factors(path):
    """A DataFrame with ``date`` (datetime64, ascending) and ``FACTORS`` (float64, fractions per day) of a csv."""
    import pandas as pd

    table = pd.read_csv(path)
    lacking = [each for each in ("date", *FACTORS) if each not in table]
    if lacking:
        raise StudyError(f"{path} lacks the columns {', '.join(lacking)}: it needs date, {', '.join(FACTORS)}")
    try:
        table["date"] = pd.to_datetime(table["date"].astype(str))
        table = table[["date", *FACTORS]].astype(dict.fromkeys(FACTORS, "float64"))
    except ValueError as error:
        raise StudyError(f"{path}: {error}; dates are written 2021-02-28 or 20210228, factors as fractions") from None
    if not table["date"].is_monotonic_increasing or table["date"].duplicated().any():
        raise StudyError(f"{path}: the dates do not ascend, or one comes twice; sort them")
    if (table[list(FACTORS)].abs() > 1).any(axis=None):
        raise StudyError(f"{path} has factors beyond 1: percentages? Divide them by 100, they are read as fractions")
    return table


def align_factors(factors, panel, timeframe):
    """``factors`` as a DataFrame with ``timestamp`` (the union of the panel's stamps) and ``FACTORS``.

    A daily bar has those of its own day, known at its close as the bar itself is. A finer bar has those of the last
    day before its own: its own day's are not known before the day ends. Unknown (NaN) where there are none, or none
    for a week.
    """
    import pandas as pd

    stamps = np.unique(
        np.concatenate([each["timestamp"].dt.tz_localize(None).to_numpy("M8[us]") for each in panel.values()])
    )
    days, dates = stamps.astype("M8[D]"), factors["date"].to_numpy().astype("M8[D]")
    daily = duration(timeframe) >= timedelta(days=1)
    places = np.searchsorted(dates, days, side="right" if daily else "left") - 1
    known = places >= 0
    age = days - dates[np.maximum(places, 0)] if len(dates) else np.full(len(days), STALE)
    known &= age == np.timedelta64(0) if daily else age <= STALE
    table = pd.DataFrame({"timestamp": pd.to_datetime(stamps, utc=True).as_unit("us")})
    for name in FACTORS:
        table[name] = np.where(known, factors[name].to_numpy()[places] if len(dates) else np.nan, np.nan)
    return table
