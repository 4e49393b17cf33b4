import pandas as pd
import pytest

from scripts.common.errors import StudyError
from scripts.market.resampling import resample
from tests.market.random_bars import assert_same, random_bars


def by_pandas(bars, rule):
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    return bars.set_index("timestamp").resample(rule).agg(how).dropna(subset=["open"]).reset_index()


@pytest.mark.parametrize(("timeframe", "rule"), [("2h", "2h"), ("4h", "4h"), ("24h", "24h"), ("1d", "1D")])
def test_bins_equal_those_of_pandas_across_gaps(timeframe, rule):
    bars = random_bars(500, start="2021-03-01 05:00", missing=[3, 4, 5, *range(100, 150)])
    ours = resample(bars, "1h", timeframe)
    pd.testing.assert_frame_equal(ours, by_pandas(bars, rule), rtol=1e-12)
    assert ours["timestamp"].dtype == bars["timestamp"].dtype


def test_bins_open_on_hours_that_divide_the_day_whatever_the_first_bar():
    bars = random_bars(30, start="2021-03-01 05:00")
    assert list(resample(bars, "1h", "4h")["timestamp"].dt.hour[:3]) == [4, 8, 12]


def test_the_same_timeframe_changes_nothing():
    bars = random_bars(10)
    assert_same(resample(bars, "1h", "1h"), bars)
    assert_same(resample(bars, "1d", "24h"), bars)


def test_an_unfinished_bin_at_the_end_is_kept():
    bars = random_bars(10)
    ours = resample(bars, "1h", "4h")
    assert len(ours) == 3
    assert ours["close"].iloc[-1] == bars["close"].iloc[-1]


def test_amount_is_summed_and_quotes_are_the_last_ones():
    bars = random_bars(8).assign(amount=range(8), bid=range(8), ask=range(10, 18)).astype({"amount": float})
    ours = resample(bars, "1h", "4h")
    assert list(ours["amount"]) == [6.0, 22.0]
    assert list(ours["bid"]) == [3, 7]
    assert list(ours["ask"]) == [13, 17]


def test_no_bars_give_no_bins_with_the_same_columns():
    bars = random_bars(5)[:0]
    assert_same(resample(bars, "1h", "4h"), bars)


def test_later_bars_change_no_finished_bin():
    bars = random_bars(400)
    whole, part = resample(bars, "1h", "4h"), resample(bars[:200], "1h", "4h")
    assert_same(whole[:50], part)


@pytest.mark.parametrize(
    ("timeframe", "reason"), [("90m", "no multiple"), ("5h", "does not divide a day"), ("2d", "does not divide a day")]
)
def test_timeframes_that_cannot_be_made_are_refused_with_the_reason(timeframe, reason):
    with pytest.raises(StudyError, match=reason):
        resample(random_bars(5), "1h", timeframe)
