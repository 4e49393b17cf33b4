"""What is said of a market as a whole: its manifest, its quality, and clocks that disagree between symbols."""

from datetime import timedelta

import numpy as np

from scripts.common.timeframes import duration
from scripts.market import calendars
from scripts.market.findings import as_iso, counts, finding, ordered
from scripts.market.series_checks import missing_bars

LARGEST_LAG = {"daily": 3, "intraday": timedelta(hours=14)}  # no two zones are further apart
MOST_LAGS = 60  # finer bars are compared every few bars only
LEAST_RETURNS = 100  # of a quarter that two symbols have in common
RELATED = 0.25  # least absolute correlation at the best lag to say anything
CLEARER = 0.20  # by which the best lag must beat lag 0


def manifest(accounts):
    """``{"first", "last", "symbols": {symbol: {"first", "last", "rows", "months"}}}`` of the symbols' accounts."""
    keys = ("first", "last", "rows", "months")
    return {
        "first": min(each["first"] for each in accounts),
        "last": max(each["last"] for each in accounts),
        "symbols": {each["symbol"]: {key: each[key] for key in keys} for each in accounts},
    }


def quality(accounts, market_findings):
    """The body of quality.json: findings by symbol, those between symbols, and totals by severity and class."""
    symbols = {
        each["symbol"]: {
            "rows": each["rows"],
            "quarantined": each["quarantined"],
            "severities": counts(each["findings"]),
            "findings": each["findings"],
        }
        for each in accounts
    }
    everything = [found for each in accounts for found in each["findings"]] + market_findings
    classes = {}
    for each in everything:
        total = classes.setdefault(each["class"], {"findings": 0, "count": 0, "severity": each["severity"]})
        total["findings"] += 1
        total["count"] += each["count"]
    return {
        "totals": {
            "rows": sum(each["rows"] for each in accounts),
            "quarantined": sum(each["quarantined"] for each in accounts),
            "severities": counts(everything),
            "classes": classes,
        },
        "market": market_findings,
        "symbols": symbols,
    }


def summary(accounts, test):
    """data_summary.csv: one row per symbol; paths are relative to its folder. ``test`` rows are split off, or None."""
    import pandas as pd

    rows = []
    for each in accounts:
        symbol, count = each["symbol"], each["rows"]
        split = (count - test, test, f"train/{symbol}.parquet", f"test/{symbol}.parquet")
        rows.append((symbol, each["last"], count, *(split if test else (count, 0, f"bars/{symbol}.parquet", ""))))
    names = ["symbol", "latest_date", "total_rows", "train_rows", "test_rows", "train_file", "test_file"]
    return pd.DataFrame(rows, columns=names)


def describe(bars, account, calendar, unseen):
    """A symbol's entry of asset_metadata.json."""
    timeframe = account["timeframe"]
    returns = np.diff(np.log(bars["close"].to_numpy("float64")))
    stamps = bars["timestamp"].dt.tz_localize(None).to_numpy("datetime64[us]")
    missing = missing_bars(stamps, timeframe, calendar)
    widest = int(missing.argmax())
    turnover = bars["amount"] if "amount" in bars else bars["close"] * bars["volume"]
    volatility = returns.std() * np.sqrt(calendars.bars_per_year(calendar, timeframe)) if len(returns) else 0.0
    return {
        "first": account["first"],
        "last": account["last"],
        "rows": account["rows"],
        "quarantined": account["quarantined"],
        "timeframe": timeframe,
        "calendar": calendar,
        "unseen": unseen,
        "median_dollar_volume": round(float(turnover.median()), 2),
        "annualised_volatility": round(float(volatility), 6),
        "largest_gap": {"bars": int(missing[widest]), "before": as_iso(stamps[widest])} if missing[widest] else None,
        "notes": account["notes"],
    }


def stale_tails(accounts, timeframe, calendar, max_gap):
    """Findings about symbols whose bars end long before the market's last bar."""
    last = max(each["last"] for each in accounts)
    found = []
    for each in accounts:
        ends = np.array([each["last"][:-1], last[:-1]], "datetime64[us]")
        missing = int(missing_bars(ends, timeframe, calendar)[-1]) + 1 if ends[0] < ends[1] else 0
        if missing * duration(timeframe) > duration(max_gap):
            text = f"{each['symbol']} ends {missing} bars before the market's last bar"
            found.append({"symbol": each["symbol"]} | finding("stale_tail", "warning", text, missing, *ends))
    return found


def clock_disagreements(closes, timeframe):
    """Findings about symbols whose returns fit those of the others better some bars later or earlier: a wrong zone.

    ``closes`` is ``{symbol: Series of closes by stamp}``. Each quarter is judged by itself. Returns of two symbols are
    correlated at all lags up to 14 hours (daily bars: 3 days); a symbol is named when, with at least half of the symbols
    that are related to it, the absolute correlation is clearly greater at one and the same lag than at lag 0. Of two
    symbols that disagree with each other only, both are named.
    """
    import pandas as pd

    if len(closes) < 2:
        return []
    table = pd.DataFrame({symbol: np.log(series) for symbol, series in closes.items()})
    step = pd.Timedelta(duration(timeframe))
    quarters = table.index.tz_localize(None).to_period("Q")
    found = []
    for quarter in quarters.unique():
        part = table[quarters == quarter]
        # on the clock, not row by row: a lag is a time
        part = part.reindex(pd.date_range(part.index[0], part.index[-1], freq=step)).diff()
        lags = _lags(step, duration(timeframe))
        best, strength = _best_lags(part.to_numpy("float64"), lags)
        for symbol, lag, votes, related in _outvoted(best, strength):
            direction = "later" if lag > 0 else "earlier"
            text = (
                f"{table.columns[symbol]} moves {abs(lag) * step} {direction} than {votes} of the {related} symbols related "
                "to it: check the source's timezone"
            )
            stamps = part.index[[0, -1]].tz_localize(None)
            found.append({"symbol": str(table.columns[symbol])} | finding("clock", "error", text, len(part), *stamps))
    return ordered(found)


def _lags(step, length):
    if length >= timedelta(days=1):
        return list(range(-LARGEST_LAG["daily"], LARGEST_LAG["daily"] + 1))
    farthest = max(int(LARGEST_LAG["intraday"] / length), 1)
    stride = max(1, -(-2 * farthest // MOST_LAGS))
    return sorted({0, *range(-farthest // stride * stride, farthest + 1, stride)})


def _best_lags(returns, lags):
    """``(best, strength)``: for each pair the lag by which the first trails the second (0 if that is no worse), and
    the absolute correlation there; NaN returns are left out."""
    known = np.isfinite(returns)
    centred = np.where(known, returns - np.nanmean(np.where(known, returns, np.nan), axis=0), 0.0)
    count = returns.shape[1]
    best, strength, at_zero = np.zeros((count, count), int), np.zeros((count, count)), None
    for lag in sorted(lags, key=abs):
        # rows of the first are `lag` bars after those of the second
        late, early = slice(max(lag, 0), len(returns) + min(lag, 0)), slice(max(-lag, 0), len(returns) + min(-lag, 0))
        first, second, both = centred[late], centred[early], known[late].T.astype(float) @ known[early]
        spread = np.sqrt((first**2).T @ known[early] * (known[late].T.astype(float) @ second**2))
        size = np.divide(np.abs(first.T @ second), spread, out=np.zeros_like(spread), where=(spread > 0) & (both >= LEAST_RETURNS))
        if lag == 0:
            at_zero, strength = size, size.copy()
            continue
        better = (size > strength) & (size > at_zero + CLEARER)
        best[better], strength = lag, np.where(better, size, strength)
    return best, strength


def _outvoted(best, strength):
    """``(symbol, lag, votes, related)`` of symbols that are out of step with at least half of those related to them."""
    related = (strength >= RELATED) & ~np.eye(len(best), dtype=bool)
    for symbol in range(len(best)):
        lags = best[symbol][related[symbol]]
        wrong = lags[lags != 0]
        if len(wrong) == 0:
            continue
        values, votes = np.unique(wrong, return_counts=True)
        if votes.max() * 2 >= len(lags):
            yield symbol, int(values[votes.argmax()]), int(votes.max()), len(lags)
