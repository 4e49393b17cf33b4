import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scripts.market.time_zones import suspects, unable

YEAR = pd.date_range("2021-01-01", "2022-01-01", freq="h", inclusive="left", unit="us").to_numpy()


def market(n, seed=0, stamps=YEAR, own=0.7, signs=None):
    """Closes of ``n`` symbols that share a factor."""
    rng = np.random.default_rng(seed)
    factor = rng.standard_t(3, len(stamps))
    signs = [1] * n if signs is None else signs
    returns = [0.005 * (sign * factor + own * rng.standard_t(3, len(stamps))) for sign in signs]
    return {f"S{number:02d}": (stamps, np.exp(np.cumsum(each))) for number, each in enumerate(returns)}


def shifted(bars, hours, start, end):
    """Bars whose stamps in [start, end) are ``hours`` late; the earlier of two at one stamp stays."""
    stamps, close = bars
    moved = np.where((stamps >= np.datetime64(start)) & (stamps < np.datetime64(end)), np.timedelta64(hours, "h"), 0)
    stamps = stamps + moved
    order = np.argsort(stamps, kind="stable")
    stamps, close = stamps[order], close[order]
    once = np.append(True, stamps[1:] != stamps[:-1])
    return stamps[once], close[once]


def told(findings):
    return [(each["symbol"], each["start"][:7], each["lag_hours"]) for each in findings]


@pytest.mark.parametrize("hours", [2, -7, 12])
def test_a_shift_of_half_a_year_is_found_with_its_symbol_quarters_and_lag(hours):
    closes = market(5, signs=[1, -1, 1, 1, -1])
    closes["S01"] = shifted(closes["S01"], hours, "2021-04-01", "2021-10-01")
    assert told(suspects(closes, "1h")) == [("S01", "2021-04", hours), ("S01", "2021-07", hours)]


@pytest.mark.parametrize("seed", range(5))
def test_related_and_unrelated_symbols_in_one_zone_are_not_suspect(seed):
    assert suspects(market(6, seed), "1h") == []
    assert suspects(market(6, seed, own=30.0), "1h") == []


def test_of_two_symbols_one_is_named_and_the_other_mentioned():
    closes = market(2)
    closes["S01"] = shifted(closes["S01"], 3, "2021-07-01", "2022-01-01")
    findings = suspects(closes, "1h")
    assert told(findings) == [("S00", "2021-07", -3), ("S00", "2021-10", -3)]
    assert "3 h earlier than S01" in findings[0]["detail"] and "one side is off" in findings[0]["detail"]


def test_in_a_market_of_many_symbols_a_shifted_one_is_still_found():
    closes = market(60, stamps=YEAR[: 24 * 90])
    closes["S33"] = shifted(closes["S33"], 5, "2021-01-01", "2021-04-01")
    assert told(suspects(closes, "1h")) == [("S33", "2021-01", 5)]


def test_minutes_are_looked_at_by_the_hour():
    stamps = np.arange(YEAR[0], YEAR[24 * 80], np.timedelta64(15, "m"))
    closes = market(3, stamps=stamps)
    closes["S02"] = shifted(closes["S02"], 2, "2021-01-01", "2021-04-01")
    assert told(suspects(closes, "15m")) == [("S02", "2021-01", 2)]


def test_new_bars_change_nothing_that_was_said_of_a_former_quarter():
    closes = market(4)
    closes["S02"] = shifted(closes["S02"], 2, "2021-01-01", "2022-01-01")
    cut = {symbol: (stamps[:5000], close[:5000]) for symbol, (stamps, close) in closes.items()}
    assert suspects(cut, "1h")[:2] == suspects(closes, "1h")[:2]


def test_bad_closes_and_flat_symbols_do_no_harm():
    closes = market(3)
    closes["S00"][1][100:110] = np.nan
    closes["S00"][1][200:205] = -1.0
    closes["FLAT"] = YEAR, np.ones(len(YEAR))
    closes["SHORT"] = YEAR[:1], np.ones(1)
    assert suspects(closes, "1h") == []


def test_daily_bars_and_single_symbols_are_skipped_with_a_reason():
    assert "too long" in unable("1d", 3)
    assert "one symbol" in unable("1h", 1)
    assert unable("1h", 2) is None
    assert suspects(market(2), "1d") == []


def test_real_forex_bars():
    folder = os.environ.get("QUANTMAKE_REAL_DATA")
    if not folder:
        pytest.skip("QUANTMAKE_REAL_DATA is not set")
    closes = {}
    for path in sorted(Path(folder, "forex_1h").glob("*.parquet")):
        frame = pd.read_parquet(path)
        closes[path.stem] = frame["timestamp"].to_numpy("datetime64[us]"), frame["close"].to_numpy()
    # before October 2014 nine pairs are stamped an hour early: American payrolls come at 12:30 UTC in their winter
    told_of = told(suspects(closes, "1h"))
    assert {symbol for symbol, _, _ in told_of} == {"EURUSD", "XAUUSD"}
    assert {lag for _, _, lag in told_of} == {1.0} and max(start for _, start, _ in told_of) == "2014-07"
    closes["GBPUSD"] = shifted(closes["GBPUSD"], 2, "2018-07-01", "2019-01-01")
    assert [each for each in told(suspects(closes, "1h")) if each not in told_of] == [
        ("GBPUSD", "2018-07", 2.0),
        ("GBPUSD", "2018-10", 2.0),
    ]
