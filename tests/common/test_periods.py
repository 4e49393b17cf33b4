from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.errors import StudyError
from scripts.common.periods import between, bounds, iso, months_between, period_of, stamp
from scripts.common.timeframes import CALENDARS, duration, span_of

moments = st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))
partitions = st.sampled_from(["month", "quarter", "year"])


@given(moments, partitions)
def test_a_moment_lies_in_its_period(moment, partition):
    start, end = bounds(period_of(moment, partition))
    assert start <= moment < end
    assert period_of(start, partition) == period_of(end - timedelta(microseconds=1), partition)


@given(moments, st.integers(1, 2000), partitions)
def test_periods_between_tile_the_interval(start, days, partition):
    end = start + timedelta(days=days)
    edges = [bounds(name) for name in between(start, end, partition)]
    assert edges[0][0] <= start and edges[-1][0] < end <= edges[-1][1]
    assert all(one[1] == next[0] for one, next in zip(edges, edges[1:], strict=False))


def test_names():
    assert between("2020-11-30", "2021-02-01", "month") == ["2020-11", "2020-12", "2021-01"]
    assert between("2020-11-30", "2021-02-01", "quarter") == ["2020-Q4", "2021-Q1"]
    assert between("2020-11-30", "2021-02-01", "year") == ["2020", "2021"]
    assert months_between("2021-02-01", "2021-02-01") == []


def test_naive_stamps_are_utc_and_text_is_canonical():
    assert iso("2021-02-20") == iso("2021-02-20T01:00:00+01:00") == "2021-02-20T00:00:00Z"
    assert stamp("2021-02-20T00:00:00Z") == stamp(datetime(2021, 2, 20))


@pytest.mark.parametrize("text", ["2021-Q5", "2021-13", "21", "2021-1"])
def test_what_is_no_period_is_refused(text):
    with pytest.raises(ValueError):
        bounds(text)


@pytest.mark.parametrize("text", ["0h", "h", "1w", "1.5h", ""])
def test_what_is_no_timeframe_is_refused(text):
    with pytest.raises(StudyError, match="timeframe"):
        duration(text)


@pytest.mark.parametrize("calendar", CALENDARS)
@pytest.mark.parametrize("timeframe", ["1h", "1d"])
def test_a_span_covers_its_bars_on_the_calendar(calendar, timeframe):
    from scripts.market.calendars import grid

    moment = stamp("2019-01-03")
    for bars in (1, 30, 500):
        span = span_of(bars, timeframe, calendar)
        assert len(grid(calendar, timeframe, moment - span, moment)) >= bars
