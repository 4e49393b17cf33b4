import json

import numpy as np
import pandas as pd
import pytest

from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.market.bars import account
from scripts.market.survey_market import main
from scripts.market.surveys import gather


def hourly_bars(start, n, seed=0):
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(0.01 * rng.standard_normal(n)).cumprod()
    stamps = pd.date_range(start, periods=n, freq="h", tz="UTC", unit="us")
    return pd.DataFrame(
        {"timestamp": stamps, "open": close, "high": close, "low": close, "close": close, "volume": np.ones(n)}
    )


def survey(folder, accounts, partition="quarter"):
    paths = []
    for each in accounts:
        paths.append(folder / f"{each['symbol']}.json")
        paths[-1].write_text(json.dumps({"schema": "quantmake/account/1", **each}))
    job = Job(
        input={"accounts": paths},
        output=[folder / "manifest.json"],
        params={"timeframe": "1h", "calendar": "always", "partition": partition},
        wildcards={"market": "crypto"},
    )
    main(job)
    return (folder / "manifest.json").read_bytes()


def an_account(symbol, start="2021-01-30", n=100, seed=0, **more):
    details = {"findings": [], "quarantined": 0, "notes": {}} | more
    return account(hourly_bars(start, n, seed), symbol=symbol, timeframe="1h", **details)


def test_the_manifest_has_the_span_and_the_months_of_every_symbol(tmp_path):
    accounts = [an_account("ETH"), an_account("BTC", "2021-02-01", 50)]
    manifest = json.loads(survey(tmp_path, accounts))
    assert {key: manifest[key] for key in ("market", "timeframe", "calendar", "partition")} == {
        "market": "crypto",
        "timeframe": "1h",
        "calendar": "always",
        "partition": "quarter",
    }
    assert (manifest["first"], manifest["last"]) == ("2021-01-30T00:00:00Z", "2021-02-03T03:00:00Z")
    assert set(manifest["symbols"]) == {"ETH", "BTC"}
    assert {month: known["rows"] for month, known in manifest["symbols"]["ETH"]["months"].items()} == {
        "2021-01": 48,
        "2021-02": 52,
    }
    assert manifest["symbols"]["BTC"]["months"] == accounts[1]["months"]
    assert set(manifest["symbols"]["BTC"]) == {"first", "last", "rows", "months"}


def test_findings_and_notes_do_not_change_the_manifest_but_a_bar_does(tmp_path):
    before = survey(tmp_path, [an_account("ETH")])
    finding = {"class": "gap", "severity": "warning", "start": "x", "end": "y", "count": 1, "detail": "z"}
    assert survey(tmp_path, [an_account("ETH", findings=[finding], quarantined=3, notes={"a": 1})]) == before
    assert survey(tmp_path, [an_account("ETH", seed=1)]) != before


def test_a_symbol_without_bars_is_named_with_the_place_of_its_rows(tmp_path):
    empty = an_account("SOL") | {"rows": 0, "first": None, "last": None, "months": {}, "quarantined": 7}
    with pytest.raises(StudyError, match=r"crypto: SOL has no bars left \(7 rows are in quarantine/SOL.parquet"):
        survey(tmp_path, [an_account("ETH"), empty])


def test_quarantined_rows_are_gathered_as_text_and_nothing_is_lost():
    first = pd.DataFrame(
        {"timestamp": pd.to_datetime(["2021-01-01 01:00"], utc=True), "close": [np.nan], "reason": ["no close"]}
    )
    second = pd.DataFrame({"close": ["n/a"], "found": ["31.02.2021"], "reason": ["no such date"]})
    table = gather({"A": first, "B": second})
    assert table.columns.tolist() == ["symbol", "reason", "timestamp", "close", "found"]
    assert table.astype(object).where(table.notna(), None).to_numpy().tolist() == [
        ["A", "no close", "2021-01-01T01:00:00Z", None, None],
        ["B", "no such date", None, "n/a", "31.02.2021"],
    ]
