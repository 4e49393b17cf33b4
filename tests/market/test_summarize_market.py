import json

import numpy as np
import pandas as pd
import pytest

from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.market.assets import annualised_volatility, describe, largest_gap, median_daily_dollar_volume
from scripts.market.bars import account
from scripts.market.summarize_market import main

GAP = {
    "class": "gap",
    "severity": "warning",
    "start": "2021-01-02T00:00:00Z",
    "end": "2021-01-02T09:00:00Z",
    "count": 9,
    "detail": "9 bars missing",
}
NAN = GAP | {"class": "nan", "severity": "error", "count": 2, "detail": "no close"}


def make_bars(stamps, volume=2.0, seed=0, late=0):
    rng = np.random.default_rng(seed)
    factor = np.random.default_rng(99).standard_normal(len(stamps) + 24)[24 - late : len(stamps) + 24 - late]
    close = 100 * np.exp(0.002 * np.cumsum(factor + 0.3 * rng.standard_normal(len(stamps))))
    return pd.DataFrame(
        {"timestamp": stamps, "open": close, "high": close, "low": close, "close": close, "volume": volume}
    )


def hours(n, start="2021-01-01"):
    return pd.date_range(start, periods=n, freq="h", tz="UTC", unit="us")


def summarize(folder, symbols, findings=(), quarantines=(), **params):
    """Write what an ingest of ``symbols`` ({name: bars}) leaves, summarize it and return the four outputs' paths."""
    findings, quarantines = dict(findings), dict(quarantines)
    timeframe = params.get("timeframe", "1h")
    empty = pd.DataFrame({"timestamp": [], "close": [], "reason": []}, dtype="str")
    for name in ("bars", "quarantine"):
        (folder / name).mkdir(exist_ok=True)
    for symbol, frame in symbols.items():
        rows = quarantines.get(symbol, empty)
        frame.to_parquet(folder / f"bars/{symbol}.parquet")
        rows.to_parquet(folder / f"quarantine/{symbol}.parquet")
        body = account(
            frame,
            symbol=symbol,
            timeframe=timeframe,
            findings=findings.get(symbol, []),
            quarantined=len(rows),
            notes={"oracle_auc": 0.6},
        )
        (folder / f"bars/{symbol}.json").write_text(json.dumps(body))
    output = {
        "quality": folder / "quality.json",
        "summary": folder / "data_summary.csv",
        "metadata": folder / "asset_metadata.json",
        "quarantine": folder / "quarantine.parquet",
    }
    defaults = {"unseen": [], "split": None, "timeframe": "1h", "calendar": "always", "checks": {"max_gap": "6h"}}
    job = Job(
        input={
            "accounts": [folder / f"bars/{symbol}.json" for symbol in symbols],
            "bars": [folder / f"bars/{symbol}.parquet" for symbol in symbols],
            "quarantine": [folder / f"quarantine/{symbol}.parquet" for symbol in symbols],
        },
        output=output,
        params={**defaults, "symbols": list(symbols), **params},
        wildcards={"market": "crypto"},
    )
    main(job)
    return output


def test_quality_lists_every_finding_with_totals_by_class_and_symbol(tmp_path):
    symbols = {"ETH": make_bars(hours(50)), "BTC": make_bars(hours(40), seed=1)}
    bad = pd.DataFrame(
        {"timestamp": ["2021-01-05T00:00:00Z"] * 2, "close": ["nan", "-1"], "reason": ["nan", "negative"]}
    )
    output = summarize(tmp_path, symbols, {"ETH": [GAP, NAN], "BTC": [GAP]}, {"ETH": bad}, checks={"max_gap": "1d"})
    quality = json.loads(output["quality"].read_text())
    assert [(each["symbol"], each["class"]) for each in quality["findings"]] == [
        ("ETH", "gap"),
        ("ETH", "nan"),
        ("BTC", "gap"),
    ]
    assert quality["findings"][1] == {"symbol": "ETH", **NAN}
    assert quality["classes"]["gap"] == {"findings": 2, "bars": 18, "severities": {"warning": 2}}
    assert quality["symbols"]["ETH"] == {
        "kept": 50,
        "quarantined": 2,
        "findings": 2,
        "bars": 11,
        "severities": {"error": 1, "warning": 1},
    }
    assert quality["rows"] == {"kept": 90, "quarantined": 2}
    rows = pd.read_parquet(output["quarantine"])
    assert rows["symbol"].tolist() == ["ETH", "ETH"] and rows["reason"].tolist() == ["nan", "negative"]


def test_a_symbol_that_ends_before_the_others_is_named(tmp_path):
    symbols = {"ETH": make_bars(hours(50)), "BTC": make_bars(hours(43), seed=1), "SOL": make_bars(hours(44), seed=2)}
    (tail,) = json.loads(summarize(tmp_path, symbols)["quality"].read_text())["findings"]
    assert (tail["symbol"], tail["class"], tail["count"]) == ("BTC", "stale_tail", 7)
    assert (tail["start"], tail["end"]) == ("2021-01-02T18:00:00Z", "2021-01-03T01:00:00Z")


def test_a_symbol_in_another_time_zone_is_a_finding_of_the_market(tmp_path):
    stamps = hours(24 * 80)
    symbols = {
        name: make_bars(stamps, seed=seed, late=2 * (name == "BNB")) for seed, name in enumerate(["ETH", "BNB", "BTC"])
    }
    quality = json.loads(summarize(tmp_path, symbols)["quality"].read_text())
    assert [(each["symbol"], each["class"], each["lag_hours"]) for each in quality["findings"]] == [
        ("BNB", "time_zone_suspect", 2.0)
    ]
    assert quality["classes"]["time_zone_suspect"]["findings"] == 1
    assert quality["time_zones"]["checked"] and "0.15" in quality["time_zones"]["rule"]


def test_daily_bars_say_why_their_time_zones_were_not_compared(tmp_path):
    days = pd.date_range("2021-01-04", periods=30, freq="B", tz="UTC", unit="us")
    symbols = {"SPY": make_bars(days), "QQQ": make_bars(days, seed=1)}
    output = summarize(tmp_path, symbols, timeframe="1d", calendar="fx")
    quality = json.loads(output["quality"].read_text())
    assert not quality["time_zones"]["checked"] and "1d" in quality["time_zones"]["reason"]
    assert quality["findings"] == [] and quality["classes"] == {}


def test_the_summary_names_rows_and_files_with_and_without_a_split(tmp_path):
    symbols = {"ETH": make_bars(hours(50)), "BTC": make_bars(hours(40), seed=1)}
    text = summarize(tmp_path, symbols)["summary"].read_text()
    assert text.splitlines() == [
        "symbol,latest_date,total_rows,train_rows,test_rows,train_file,test_file",
        "ETH,2021-01-03T01:00:00Z,50,50,0,bars/ETH.parquet,",
        "BTC,2021-01-02T15:00:00Z,40,40,0,bars/BTC.parquet,",
    ]
    text = summarize(tmp_path, symbols, split={"test": 30})["summary"].read_text()
    assert text.splitlines()[2] == "BTC,2021-01-02T15:00:00Z,40,10,30,train/BTC.parquet,test/BTC.parquet"
    with pytest.raises(StudyError, match="BTC has 40 bars, and the test file alone takes 45"):
        summarize(tmp_path, symbols, split={"test": 45})


def test_metadata_describe_each_symbol(tmp_path):
    symbols = {"ETH": make_bars(hours(50)), "BTC": make_bars(hours(40), volume=0.0, seed=1)}
    output = summarize(tmp_path, symbols, unseen=["BTC"])
    assets = json.loads(output["metadata"].read_text())["symbols"]
    assert (assets["ETH"]["unseen"], assets["BTC"]["unseen"]) == (False, True)
    assert assets["BTC"]["median_daily_dollar_volume"] is None
    assert assets["ETH"]["rows"] == 50 and assets["ETH"]["last"] == "2021-01-03T01:00:00Z"
    assert assets["ETH"]["notes"] == {"oracle_auc": 0.6}
    assert (assets["ETH"]["timeframe"], assets["ETH"]["calendar"], assets["ETH"]["largest_gap"]) == (
        "1h",
        "always",
        None,
    )


def test_without_quarantined_rows_the_table_is_empty_but_has_its_columns(tmp_path):
    table = pd.read_parquet(summarize(tmp_path, {"ETH": make_bars(hours(50))})["quarantine"])
    assert len(table) == 0 and table.columns.tolist() == ["symbol", "reason", "timestamp", "close"]
    assert all(pd.api.types.is_string_dtype(kind) for kind in table.dtypes)


def test_two_runs_give_the_same_bytes(tmp_path):
    symbols = {"ETH": make_bars(hours(24 * 20)), "BTC": make_bars(hours(24 * 20), seed=1)}
    first = {name: path.read_bytes() for name, path in summarize(tmp_path, symbols).items()}
    assert {name: path.read_bytes() for name, path in summarize(tmp_path, symbols).items()} == first


def test_volatility_and_dollar_volume_by_hand():
    close = pd.Series([100.0, 110.0, 99.0, 105.0])
    expected = np.std(np.diff(np.log(close)), ddof=1) * np.sqrt(252)
    assert annualised_volatility(close, 252) == pytest.approx(expected)
    assert annualised_volatility(close[:2], 252) is None
    frame = pd.DataFrame({"timestamp": hours(48), "close": 10.0, "volume": [1.0] * 24 + [3.0] * 24})
    assert median_daily_dollar_volume(frame) == pytest.approx((240 + 720) / 2)
    assert median_daily_dollar_volume(frame.assign(amount=1.0)) == pytest.approx(24)


def test_the_largest_gap_counts_open_hours_only():
    week = hours(24 * 14, "2021-02-01").to_series().reset_index(drop=True)
    assert largest_gap(week, timeframe="1h", calendar="always") is None
    open_hours = week[
        (week.dt.dayofweek < 4) | ((week.dt.dayofweek == 4) & (week.dt.hour < 22)) | (week.dt.dayofweek == 6)
    ]
    open_hours = open_hours[(open_hours.dt.dayofweek < 6) | (open_hours.dt.hour >= 22)].reset_index(drop=True)
    assert largest_gap(open_hours, timeframe="1h", calendar="fx") is None
    gap = largest_gap(open_hours.drop(index=range(10, 17)).reset_index(drop=True), timeframe="1h", calendar="fx")
    assert gap == {"bars": 7, "hours": 7.0, "after": "2021-02-01T09:00:00Z", "before": "2021-02-01T17:00:00Z"}


def test_bars_at_half_past_and_daily_bars_have_no_false_gaps():
    sessions = pd.date_range("2021-06-07", "2021-06-11", freq="D", tz="UTC", unit="us")
    half_past = pd.Series([day + pd.Timedelta(hours=13.5 + hour) for day in sessions for hour in range(7)])
    assert largest_gap(half_past, timeframe="1h", calendar="XNYS") is None
    days = pd.Series(sessions).drop(index=2).reset_index(drop=True)
    assert largest_gap(days, timeframe="1d", calendar="XNYS")["bars"] == 1
    assert describe(make_bars(sessions), timeframe="1d", calendar="XNYS")["largest_gap"] is None
