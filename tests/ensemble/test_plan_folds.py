import pandas as pd
import pytest

from scripts.common.atomic import write_json
from scripts.common.job import Job
from scripts.common.results import read_json
from scripts.ensemble import plan_folds

FOLDS = {
    "train": 8000,
    "validation": 500,
    "test": 100,
    "step": 100,
    "window": "rolling",
    "per_job": 24,
    "holdout": 0,
    "warmup": 87,
}


FIRST, LAST = "2021-02-20T00:00:00Z", "2026-02-19T23:00:00Z"


def plan(tmp_path, timeframe="1h", first=FIRST, last=LAST, calendar="always"):
    manifest = {"first": FIRST, "symbols": {"ETH": {"first": first, "last": last}}}
    write_json(tmp_path / "manifest.json", manifest)
    job = Job(
        input={"manifest": str(tmp_path / "manifest.json")},
        wildcards={"target": "ETH"},
        output=[str(tmp_path / "folds.json")],
        params={
            "folds": FOLDS,
            "timeframe": timeframe,
            "source_timeframe": "1h",
            "calendar": calendar,
            "partition": "quarter",
            "horizon": 5,
            "min_rows_to_stack": 8000,
        },
    )
    plan_folds.main(job)
    return read_json(job.output[0])


def test_five_years_of_hours_have_357_folds(tmp_path):
    found = plan(tmp_path)
    assert found["decision"] == "stack" and found["reason"] is None
    assert found["rows"] == {"grid": 43824, "oof": 35700}
    assert len(found["folds"]) == 357
    assert found["anchor"] == "2021-02-20T00:00:00Z" and found["holdout"] is None
    assert found["final"]["end"] == "2026-02-20T00:00:00Z"


def test_coarser_bars_are_counted_on_their_own_grid_and_skipped(tmp_path):
    found = plan(tmp_path, timeframe="4h")
    assert found["rows"] == {"grid": 10956, "oof": 2800}
    assert (found["decision"], found["reason"]) == ("skip", "2800 out-of-fold rows, 8000 needed to stack")
    found = plan(tmp_path, timeframe="24h")
    assert found["rows"]["grid"] == 1826 and found["decision"] == "skip"
    assert found["reason"].startswith("no fold fits: 1739 bars, 8105 needed")


@pytest.mark.parametrize(("last", "bars"), [("2021-02-21T02:00:00Z", 6), ("2021-02-21T03:00:00Z", 7)])
def test_a_coarse_bar_counts_when_its_last_hour_is_there(tmp_path, last, bars):
    assert plan(tmp_path, timeframe="4h", last=last)["rows"]["grid"] == bars


def test_a_late_target_has_the_folds_of_the_market_less_the_early_ones(tmp_path):
    everyone, late = plan(tmp_path)["folds"], plan(tmp_path, first="2021-09-01T00:00:00Z")["folds"]
    assert late == [fold for fold in everyone if pd.Timestamp(fold["train"][0]) >= pd.Timestamp("2021-09-01", tz="UTC")]
    assert len(late) < len(everyone)


def test_closed_hours_are_no_bars(tmp_path):
    found = plan(tmp_path, calendar="fx")
    assert 30000 < found["rows"]["grid"] < 32000
    hours = pd.DatetimeIndex([pd.Timestamp(fold["test"][0]) for fold in found["folds"]])
    assert not (hours.dayofweek == 5).any()
