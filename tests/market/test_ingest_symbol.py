import json
import os
from pathlib import Path

import pandas as pd
import pytest

from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.market import bars
from scripts.market.ingest_symbol import main
from scripts.market.settings import Bundled, Checks, Simulate
from tests.market.files_source import settings
from tests.market.random_bars import random_bars

SIMULATED = Simulate(kind="simulate", start="2021-01-01", end="2021-04-01", signal=0.2).model_dump(mode="json")


def ingest(folder, source, files=(), symbol="AAA", timeframe="1h", calendar="always", span=None, **checks):
    """Run the job; ``(bars, account, quarantine)``."""
    output = {"bars": "bars/A.parquet", "account": "bars/A.json", "quarantine": "quarantine/A.parquet"}
    output = {name: folder / path for name, path in output.items()}
    params = {"source": source, "timeframe": timeframe, "calendar": calendar, "seed": 7, "code": []}
    params |= {"span": span or {"start": None, "end": None}, "checks": Checks(**checks).model_dump(mode="json")}
    main(
        Job(input={"files": [str(file) for file in files]}, output=output, params=params, wildcards={"symbol": symbol})
    )
    account = json.loads(output["account"].read_text())
    return bars.read(output["bars"]), account, pd.read_parquet(output["quarantine"])


def test_a_simulated_symbol(tmp_path):
    frame, account, quarantine = ingest(tmp_path, SIMULATED)
    assert account["schema"] == "quantmake/bars/1" and (account["symbol"], account["timeframe"]) == ("AAA", "1h")
    assert (account["first"], account["last"]) == ("2021-01-01T00:00:00Z", "2021-03-31T23:00:00Z")
    assert account["rows"] == len(frame) == 24 * 90 and account["months"] == bars.month_digests(frame)
    assert list(account["months"]) == ["2021-01", "2021-02", "2021-03"]
    assert account["findings"] == [] and account["quarantined"] == len(quarantine) == 0
    assert account["notes"]["oracle_auc"]["horizon"] == 5
    assert list(quarantine) == ["timestamp", "open", "high", "low", "close", "volume", "reason", "found"]


def test_two_runs_give_the_same_bytes(tmp_path):
    ingest(tmp_path / "a", SIMULATED), ingest(tmp_path / "b", SIMULATED)
    for name in ("bars/A.parquet", "bars/A.json", "quarantine/A.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("symbol", ["SP500", "NASDAQ", "VIX"])
def test_the_bundled_indices(tmp_path, symbol):
    source = Bundled(kind="bundled").model_dump(mode="json")
    frame, account, quarantine = ingest(
        tmp_path, source, symbol=symbol, timeframe="1d", calendar="XNYS", max_gap="1d", max_abs_log_return=0.8
    )
    assert (frame["timestamp"].dt.strftime("%H:%M") == "00:00").all()
    assert account["rows"] == {"SP500": 5031, "NASDAQ": 5031, "VIX": 1259}[symbol]
    # the VIX is listed on holidays without a value, and has no volume
    known = {"empty_row", "no_volume"} if symbol == "VIX" else set()
    assert {each["class"] for each in account["findings"]} == known
    assert (quarantine["reason"] == "empty row: no prices, and the market was closed").sum() == (46 if known else 0)
    with pytest.raises(StudyError, match="bundled bars are daily"):
        ingest(tmp_path, source, symbol=symbol)


def test_an_unknown_bundled_symbol_is_named(tmp_path):
    with pytest.raises(StudyError, match="no symbol 'DAX'; it has: SP500, NASDAQ, VIX"):
        ingest(tmp_path, {"kind": "bundled"}, symbol="DAX", timeframe="1d")


def csv(folder, frame):
    frame.to_csv(folder / "AAA.csv", index=False)
    return folder / "AAA.csv"


def test_an_appended_month_keeps_the_digests_of_the_old_ones(tmp_path):
    frame = random_bars(24 * 90)
    _, before, _ = ingest(tmp_path, settings(), [csv(tmp_path, frame[: 24 * 59])])
    _, after, _ = ingest(tmp_path, settings(), [csv(tmp_path, frame)])
    assert list(before["months"]) == ["2021-01", "2021-02"] and list(after["months"])[2:] == ["2021-03"]
    assert all(after["months"][month] == known for month, known in before["months"].items())
    frame.loc[24 * 31 + 3, "close"] *= 1.0001
    _, corrected, _ = ingest(tmp_path, settings(), [csv(tmp_path, frame)])
    assert [month for month in after["months"] if after["months"][month] != corrected["months"][month]] == ["2021-02"]


def test_the_span_cuts_and_says_how_many_rows(tmp_path):
    path = csv(tmp_path, random_bars(24 * 10))
    frame, account, _ = ingest(tmp_path, settings(), [path], span={"start": "2021-01-03", "end": "2021-01-05"})
    assert (account["first"], account["last"]) == ("2021-01-03T00:00:00Z", "2021-01-04T23:00:00Z")
    assert account["notes"]["outside_span"] == 24 * 8 and account["findings"] == []
    with pytest.raises(StudyError, match="AAA: none of the 240 bars lies in the span"):
        ingest(tmp_path, settings(), [path], span={"start": "2022-01-03", "end": None})


def test_nothing_is_dropped_silently(tmp_path):
    frame = random_bars(500, start="2021-03-10")
    frame["timestamp"] = frame["timestamp"].dt.tz_localize(None).astype("str")
    frame.loc[3, "close"] = -1.0
    frame.loc[5, "timestamp"] = "soon"
    frame = pd.concat([frame, frame.iloc[[7, 8]].assign(high=1e3)])
    kept, account, quarantine = ingest(tmp_path, settings(timezone="America/New_York"), [csv(tmp_path, frame)])
    assert len(kept) + len(quarantine) == len(frame) and account["quarantined"] == len(quarantine) == 7
    kinds = quarantine["reason"].str.split(":").str[0].value_counts().to_dict()
    assert kinds == {"duplicate stamp": 4, "non-positive price": 1, "unreadable stamp": 1, "nonexistent hour": 1}
    assert set(quarantine.loc[quarantine["timestamp"].isna(), "found"]) == {"soon", "2021-03-14 02:00:00"}
    assert sum(each["count"] for each in account["findings"] if each["severity"] == "error") == 7


def test_fail_names_the_symbol_and_leaves_no_files(tmp_path):
    frame = random_bars(500)
    frame.loc[3, "close"] = -1.0
    with pytest.raises(StudyError, match="AAA: the checks found 1 kinds? of errors"):
        ingest(tmp_path, settings(), [csv(tmp_path, frame)], on_violation="fail")
    assert not (tmp_path / "bars").exists()


def dirty(name):
    folder = os.environ.get("QUANTMAKE_REAL_DATA")
    if not folder:
        pytest.skip("QUANTMAKE_REAL_DATA is not set")
    return Path(folder, "dirty", name)


AAPL = "azadsingh_AAPL_data_last_26_dates_falsified.csv"
BNB = "bochia_BNBUSDT_1h_cryptodatadownload_banner_desc.csv"
LNT = "cnuge_LNT_data.csv"
USDJPY = "ejtrader_USDJPYh1_head10000_points_not_price.csv"
QQQ = "lean_qqq_daily_ticker_reuse.csv"
BTC = "nearezz_BTC_USDT_1h.csv__is_a_git_lfs_pointer"
PRICES = "pystock_20150610_empty_prices.tar.gz"
NZDUSD = "simom_NZDUSD_H1_tail3000_mixed_ts.csv"
DAILY = {"timeframe": "1d", "calendar": "XNYS", "max_gap": "6d"}
POSITIONS = {"timestamp": 0, "open": 1, "high": 2, "low": 3, "close": 4, "volume": 5}
TICKS = {"volume": "tick_volume"}


def test_every_dirty_file_is_in_one_of_these_tests():
    here = {AAPL, BNB, LNT, USDJPY, QQQ, BTC, PRICES, NZDUSD}
    assert {path.name for path in dirty("").iterdir()} == here


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (BTC, "Git LFS pointer"),
        (PRICES, "tar archive .*prices.csv: empty"),
        (BNB, "add 1 to source.skip_rows"),
        (QQQ, "source.header: false"),
        (AAPL, "did you mean 'date'"),
        (USDJPY, "did you mean 'Date'.*\n.*did you mean 'tick_volume'"),
    ],
)
def test_dirty_files_that_cannot_be_read_are_named_with_the_remedy(tmp_path, name, message):
    with pytest.raises(StudyError, match=message):
        ingest(tmp_path, settings(), [dirty(name)])


# name, source settings, other settings, rows kept, findings that are more than info
DIRTY = [
    (BNB, {"skip_rows": 1, "columns": {"timestamp": "unix", "volume": "Volume BNB"}}, {}, 16319, {}),
    (BNB, {"skip_rows": 1, "columns": {"timestamp": "date", "volume": "Volume USDT"}}, {}, 16319, {}),
    (LNT, {"columns": {"timestamp": "date"}}, DAILY, 1258, {"ohlc_order": "error"}),
    (AAPL, {"columns": {"timestamp": "date"}}, DAILY, 1246, {"long_gap": "error", "off_calendar": "error"}),
    (AAPL, {"columns": {"timestamp": "date"}}, DAILY | {"span": {"start": None, "end": "2017-12-30"}}, 1233, {}),
    (
        USDJPY,
        {"columns": {"timestamp": "Date"} | TICKS, "timezone": "Europe/Athens", "price_scale": 0.001},
        {"calendar": "fx"},
        10000,
        {},
    ),
    (
        USDJPY,
        {"columns": {"timestamp": "Date"} | TICKS, "timezone": "Europe/Athens"},
        {"calendar": "fx"},
        10000,
        {"price_scale": "warning"},
    ),
    (
        QQQ,
        {"header": False, "columns": POSITIONS, "price_scale": 0.0001},
        DAILY,
        3964,
        {"long_gap": "error", "level_shift": "error"},
    ),
    (
        QQQ,
        {"header": False, "columns": POSITIONS, "price_scale": 0.0001},
        DAILY | {"span": {"start": "2011-03-23", "end": None}},
        2523,
        {},
    ),
    (NZDUSD, {"columns": {"timestamp": "time"} | TICKS, "timezone": "Europe/Athens"}, {"calendar": "fx"}, 3000, {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "source", "others", "rows", "known"), DIRTY)
def test_dirty_files_are_handled_or_named_after_a_line_in_the_config(tmp_path, name, source, others, rows, known):
    kept, account, quarantine = ingest(tmp_path, settings(**source), [dirty(name)], **others)
    assert len(kept) == rows and kept["timestamp"].is_monotonic_increasing and kept["timestamp"].is_unique
    assert len(kept) + len(quarantine) + account["notes"].get("outside_span", 0) == account["notes"]["rows"]
    assert {each["class"]: each["severity"] for each in account["findings"] if each["severity"] != "info"} == known
    if name == USDJPY and not known:
        assert kept["close"].between(77, 106).all()
