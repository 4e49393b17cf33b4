"""A small market with all that goes wrong, as a panel and for the naive interpreter."""

from functools import cache

import numpy as np
import pandas as pd

from scripts.market.expressions import Panel
from tests.market.naive_interpreter import Interpreter

GROUPS = {
    "A": {"sector": "tech", "industry": "chips", "subindustry": "memory"},
    "B": {"sector": "tech", "industry": "chips", "subindustry": "logic"},
    "C": {"sector": "tech", "industry": "code", "subindustry": "memory"},
    "D": {"sector": "food", "industry": "code", "subindustry": "logic"},
    "E": {"sector": None, "industry": "chips", "subindustry": "memory"},
}
CAP = {"A": 1e9, "B": 2e9, "C": 5e8, "D": 3e9, "E": 8e9}


@cache
def market(rows, seed=1, missing=0.03):
    """Bars of five symbols with all that goes wrong, a benchmark, and factors.

    Prices are multiples of 1/16: sums of them are exact, so that what is equal is equal in any order of adding up.
    Some bars are missing, some flat, for a time the market stands still, some volumes are zero.
    """
    rng = np.random.default_rng(seed)
    stamps = pd.date_range("2015-01-01", periods=rows, freq="D", tz="UTC", unit="us")
    bars = {}
    for number, symbol in enumerate(GROUPS):
        close = np.round((60 + 40 * number) * np.exp(np.cumsum(rng.standard_normal(rows) * 0.012)) * 16) / 16
        for row in np.flatnonzero(rng.random(rows) < 0.06):
            close[row] = close[max(row - 1, 0)]
        still = int(rng.integers(0, rows - 10))
        close[still : still + 8] = close[still]
        open = np.round(close * np.exp(rng.standard_normal(rows) * 0.004) * 16) / 16
        flat = rng.random(rows) < 0.06
        flat[still : still + 8] = True
        open[flat] = close[flat]
        high = np.maximum(open, close) + np.where(flat, 0, rng.integers(0, 12, rows) / 16)
        low = np.minimum(open, close) - np.where(flat, 0, rng.integers(0, 12, rows) / 16)
        volume = rng.integers(1, 60, rows) * 8.0
        volume[rng.random(rows) < 0.04] = 0
        table = {"timestamp": stamps, "open": open, "high": high, "low": low, "close": close, "volume": volume}
        table["amount"] = volume * np.round((open + high + low + close) * 4) / 16
        bars[symbol] = pd.DataFrame(table)[rng.random(rows) >= missing].reset_index(drop=True)
    level = np.round(300 + 2 * rng.standard_normal(rows).cumsum() * 16) / 16
    benchmark = pd.DataFrame({"timestamp": stamps, "open": level, "close": level + rng.integers(-30, 30, rows) / 16})
    factors = pd.DataFrame({name: rng.standard_normal(rows) * 0.01 for name in ("mkt", "smb", "hml")})
    factors.insert(0, "timestamp", stamps)
    keep = rng.random(rows) >= 0.02
    return bars, benchmark[keep].reset_index(drop=True), factors


def panel_of(bars, benchmark, factors):
    return Panel.of(bars, industries=GROUPS, benchmark=benchmark, factors=factors, cap=CAP)


def naive_of(bars, benchmark, factors):
    """The interpreter of the same market, its variables worked out from the bars in plain Python."""
    shared = {}
    for row in benchmark.to_dict("records"):
        shared.setdefault(row["timestamp"], {}).update(benchmark_open=row["open"], benchmark_close=row["close"])
    for row in factors.to_dict("records"):
        shared.setdefault(row["timestamp"], {}).update(mkt=row["mkt"], smb=row["smb"], hml=row["hml"])
    nothing = dict.fromkeys(("benchmark_open", "benchmark_close", "mkt", "smb", "hml"))
    table = {}
    for symbol, frame in bars.items():
        rows = frame.to_dict("records")
        for row in rows:
            row["vwap"] = row["amount"] / row["volume"] if row["volume"] else None
            row |= nothing | shared.get(row["timestamp"], {}) | {"cap": CAP[symbol]} | GROUPS[symbol]
        table[symbol] = rows
    return Interpreter(table)


def from_naive(interpreter, node, panel):
    """What the interpreter makes of a tree, as an array [stamps, symbols]."""
    expected = np.full((len(panel.timestamp), len(panel.symbols)), np.nan)
    for (stamp, symbol), value in interpreter.table(node).items():
        if value is not None:
            row = np.searchsorted(panel.timestamp, np.datetime64(stamp.tz_localize(None), "us"))
            expected[row, panel.symbols.index(symbol)] = value
    return expected
