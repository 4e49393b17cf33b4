"""What is said of a market as a whole: its manifest, quality, summary, and the rows that were kept out."""

import numpy as np

from scripts.common.errors import StudyError
from scripts.common.timeframes import duration
from scripts.market.findings import counts, finding
from scripts.market.series_checks import missing_bars

SUMMARY = ("symbol", "latest_date", "total_rows", "train_rows", "test_rows", "train_file", "test_file")


def manifest(accounts, market):
    """``{"first", "last", "symbols": {symbol: {"first", "last", "rows", "months"}}}`` of the symbols' accounts.

    Findings and notes are left out: they change no bar. Raises StudyError when a symbol has no bars.
    """
    for each in accounts:
        if not each["rows"]:
            raise StudyError(
                f"market {market}: {each['symbol']} has no bars left ({each['quarantined']} rows are in "
                f"quarantine/{each['symbol']}.parquet with their reasons); correct its source or remove the symbol"
            )
    keys = ("first", "last", "rows", "months")
    return {
        "first": min(each["first"] for each in accounts),
        "last": max(each["last"] for each in accounts),
        "symbols": {each["symbol"]: {key: each[key] for key in keys} for each in accounts},
    }


def quality(accounts, market_findings, time_zones, checks):
    """The body of quality.json.

    ``findings`` are those of all symbols in the order of ``accounts``, each with its ``symbol``, then
    ``market_findings``, which have theirs; they are counted by class and by symbol (``bars`` sums their ``count``).
    ``time_zones`` says whether symbols were compared, ``checks`` are the settings.
    """
    found = [{"symbol": each["symbol"], **item} for each in accounts for item in each["findings"]] + market_findings
    symbols = {}
    for each in accounts:
        own = [item for item in found if item["symbol"] == each["symbol"]]
        symbols[each["symbol"]] = {"kept": each["rows"], "quarantined": each["quarantined"], **_totals(own)}
    classes = sorted({item["class"] for item in found})
    return {
        "rows": {
            "kept": sum(each["rows"] for each in accounts),
            "quarantined": sum(each["quarantined"] for each in accounts),
        },
        "classes": {name: _totals([item for item in found if item["class"] == name]) for name in classes},
        "symbols": symbols,
        "findings": found,
        "time_zones": time_zones,
        "checks": checks,
    }


def summary(accounts, test):
    """data_summary.csv: one row per symbol; paths are relative to its folder. ``test`` rows are split off, or None.

    Raises StudyError when a symbol has no more rows than that.
    """
    import pandas as pd

    rows = []
    for each in accounts:
        symbol, count = each["symbol"], each["rows"]
        if test and count <= test:
            raise StudyError(
                f"split: {symbol} has {count} bars, and the test file alone takes {test}; lower split.test"
            )
        split = (count - test, test, f"train/{symbol}.parquet", f"test/{symbol}.parquet") if test else None
        rows.append((symbol, each["last"], count, *(split or (count, 0, f"bars/{symbol}.parquet", ""))))
    return pd.DataFrame(rows, columns=SUMMARY)


def stale_tails(accounts, timeframe, calendar, max_gap):
    """Findings about symbols whose bars end long before the market's last bar."""
    last = max(each["last"] for each in accounts)
    found = []
    for each in accounts:
        ends = np.array([each["last"][:-1], last[:-1]], "datetime64[us]")
        missing = int(missing_bars(ends, timeframe, calendar)[-1]) + 1 if ends[0] < ends[1] else 0
        if missing * duration(timeframe) > duration(max_gap):
            text = f"the bars end {missing} bars of {timeframe} before the last ones of the market"
            found.append({"symbol": each["symbol"]} | finding("stale_tail", "warning", text, missing, *ends))
    return found


def gather(quarantines):
    """The rows of all symbols that were kept out, ``{symbol: DataFrame}``, as one table of texts.

    Columns: ``symbol``, ``reason``, then all others. Texts, because a row may have been kept out for being no number:
    stamps in ISO form, missing where there was none.
    """
    import pandas as pd

    parts = []
    for symbol, rows in quarantines.items():
        texts = {name: _as_text(rows[name]) for name in rows.columns}
        parts.append(pd.DataFrame({"symbol": pd.Series(symbol, index=rows.index, dtype="str")} | texts))
    table = pd.concat(parts, ignore_index=True)
    others = [name for name in table.columns if name not in ("symbol", "reason")]
    return table[["symbol", "reason", *others]]


def _as_text(column):
    import pandas as pd

    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_convert("UTC").dt.strftime("%Y-%m-%dT%H:%M:%SZ").astype("str")
    return column.astype("str")


def _totals(found):
    severities = {name: number for name, number in counts(found).items() if number}
    return {"findings": len(found), "bars": sum(item["count"] for item in found), "severities": severities}
