import pandas as pd
import pytest

from scripts.common.atomic import write_table
from scripts.common.job import Job
from scripts.common.periods import bounds
from scripts.ensemble import label_bars
from scripts.market import labels
from scripts.market.resampling import resample
from tests.market.random_bars import assert_same, random_bars

BARRIERS = {
    "kind": "triple_barrier",
    "horizon": 8,
    "take_profit": 1,
    "stop_loss": 1,
    "volatility_window": 24,
    "cost": 0.0,
}
DIRECTION = {"kind": "direction", "horizon": 5}


@pytest.fixture
def history(tmp_path):
    bars = random_bars(3000, seed=9)
    write_table(tmp_path / "bars.parquet", bars)
    return tmp_path, bars


def labelled(history, settings, period, read, timeframe="1h"):
    folder, _ = history
    output = folder / "labels.parquet"
    label_bars.main(
        Job(
            input={"bars": str(folder / "bars.parquet")},
            output=[str(output)],
            params={"label": settings, "timeframe": "1h", "read": dict(zip(("start", "end"), read, strict=True))},
            wildcards={"period": period, "timeframe": timeframe},
        )
    )
    return pd.read_parquet(output)


def inside(table, period):
    start, end = bounds(period)
    return table[(table["timestamp"] >= start) & (table["timestamp"] < end)]


@pytest.mark.parametrize("settings", [DIRECTION, BARRIERS], ids=lambda each: each["kind"])
def test_a_period_has_the_labels_of_the_whole_history(history, settings):
    written = labelled(history, settings, "2021-02", ("2021-01-30T00:00:00Z", "2021-03-01T09:00:00Z"))
    assert_same(written, inside(labels.label(history[1], settings), "2021-02"))


def test_coarser_bars_are_labelled_as_the_whole_history_and_never_by_a_bar_that_the_end_cuts(history):
    coarse = resample(history[1], "1h", "4h")
    expected = inside(labels.label(coarse, DIRECTION), "2021-02")
    whole = labelled(history, DIRECTION, "2021-02", ("2021-01-31T00:00:00Z", "2021-03-02T00:00:00Z"), "4h")
    assert_same(whole, expected)
    cut = labelled(history, DIRECTION, "2021-02", ("2021-01-31T00:00:00Z", "2021-03-01T19:00:00Z"), "4h")
    assert_same(cut, expected[:-1])


@pytest.mark.parametrize("settings", [DIRECTION, BARRIERS], ids=lambda each: each["kind"])
def test_nothing_at_or_after_the_end_of_the_span_is_looked_at(history, settings):
    folder, bars = history
    read = ("2021-01-30T00:00:00Z", "2021-03-01T00:00:00Z")
    before = labelled(history, settings, "2021-02", read)
    assert before["t1"].max() < pd.Timestamp(read[1])
    assert before["timestamp"].max() == pd.Timestamp("2021-02-28T23:00Z") - pd.Timedelta(hours=settings["horizon"])
    later = bars["timestamp"] >= read[1]
    bars.loc[later, ["open", "high", "low", "close"]] *= 1000
    write_table(folder / "bars.parquet", bars)
    assert_same(labelled(history, settings, "2021-02", read), before)


def test_a_period_without_bars_is_an_empty_table_with_all_columns(history):
    written = labelled(history, DIRECTION, "2022-05", ("2022-04-30T00:00:00Z", "2022-06-01T06:00:00Z"))
    assert written.empty
    assert_same(written, labels.label(history[1], DIRECTION)[:0])
