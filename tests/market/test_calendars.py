import pandas as pd
import pytest

from scripts.common.errors import StudyError
from scripts.market.calendars import bars_per_year, grid, is_open


def texts(stamps):
    return [f"{stamp:%a %m-%d %H}" for stamp in stamps]


def ends_of_weeks(calendar, start, end):
    """First and last hourly bar of each stretch without a weekend in between."""
    bars = grid(calendar, "1h", start, end).to_series()
    new = bars.diff() > pd.Timedelta("24h")
    return texts(bars[new]), texts(bars[new.shift(-1, fill_value=False)])


def test_always_is_aligned_to_the_epoch_and_half_open():
    bars = grid("always", "4h", "2021-01-01T01:00", "2021-01-02T04:00")
    assert texts(bars) == [f"Fri 01-01 {hour:02d}" for hour in (4, 8, 12, 16, 20)] + ["Sat 01-02 00"]
    assert str(bars.dtype) == "datetime64[us, UTC]"
    assert len(grid("always", "1h", "2021-01-01", "2021-01-01")) == 0


def test_fx_weeks_follow_new_york_through_the_change_of_its_clocks():
    # New York's summer of 2021: from 14 March to 7 November
    opens, closes = ends_of_weeks("fx", "2021-03-08", "2021-03-24")
    assert opens == ["Sun 03-14 21", "Sun 03-21 21"] and closes == ["Fri 03-12 21", "Fri 03-19 20"]
    opens, closes = ends_of_weeks("fx", "2021-10-26", "2021-11-17")
    assert opens == ["Sun 10-31 21", "Sun 11-07 22", "Sun 11-14 22"]
    assert closes == ["Fri 10-29 20", "Fri 11-05 20", "Fri 11-12 21"]


def test_metals_close_for_an_hour_each_day():
    week = grid("metals", "1h", "2021-01-10", "2021-01-17")
    assert texts(week[:2]) == ["Sun 01-10 23", "Mon 01-11 00"] and len(week) == 5 * 23
    assert 22 not in set(week.hour)
    assert set(grid("fx", "1h", "2021-01-10", "2021-01-17").difference(week).hour) == {22}


@pytest.mark.parametrize("calendar", ["fx", "metals"])
def test_days_of_currencies_are_weekdays(calendar):
    assert texts(grid(calendar, "1d", "2021-01-01", "2021-01-06")) == ["Fri 01-01 00", "Mon 01-04 00", "Tue 01-05 00"]


def test_the_stock_exchange_keeps_its_holidays():
    days = grid("XNYS", "1d", "2012-10-26", "2012-11-01")
    assert texts(days) == ["Fri 10-26 00", "Wed 10-31 00"]  # hurricane Sandy
    assert texts(grid("XNYS", "1d", "2021-04-01", "2021-04-06")) == ["Thu 04-01 00", "Mon 04-05 00"]  # Good Friday


def test_hours_of_the_stock_exchange_overlap_its_session():
    winter, summer = grid("XNYS", "1h", "2021-01-04", "2021-01-05"), grid("XNYS", "1h", "2021-07-06", "2021-07-07")
    assert (winter[0].hour, winter[-1].hour, len(winter)) == (14, 20, 7)
    assert (summer[0].hour, summer[-1].hour, len(summer)) == (13, 19, 7)
    half_day = grid("XNYS", "1h", "2021-11-26", "2021-11-27")
    assert half_day[-1].hour == 17


def test_futures_trade_around_the_clock_but_not_on_good_friday():
    assert texts(grid("CME", "1d", "2021-04-01", "2021-04-06")) == ["Thu 04-01 00", "Mon 04-05 00"]
    weekend = grid("CME", "1h", "2021-04-09", "2021-04-12")
    assert texts(weekend)[21:23] == ["Fri 04-09 21", "Sun 04-11 22"]


def test_coarse_bars_are_those_that_resampling_makes():
    fine = grid("fx", "1h", "2021-03-01", "2021-04-01")
    assert grid("fx", "4h", "2021-03-01", "2021-04-01").equals(fine.floor("4h").unique())


@pytest.mark.parametrize("calendar", ["always", "fx", "metals", "XNYS", "CME"])
@pytest.mark.parametrize("timeframe", ["1h", "1d"])
def test_a_longer_grid_has_the_shorter_one_inside(calendar, timeframe):
    whole = grid(calendar, timeframe, "2019-12-20", "2020-04-20")
    parts = [("2019-12-20", "2020-01-01"), ("2020-01-01", "2020-03-08T07:00"), ("2020-03-08T07:00", "2020-04-20")]
    joined = [grid(calendar, timeframe, start, end) for start, end in parts]
    assert whole.equals(joined[0].append(joined[1:]))


def test_open_or_not_in_any_order_and_with_slack():
    stamps = pd.DatetimeIndex(["2021-01-09 12:00", "2021-01-08 21:00", "2021-01-08 22:00", None], tz="UTC")
    assert is_open("fx", "1h", stamps).tolist() == [False, True, False, False]
    assert is_open("fx", "1h", stamps, pd.Timedelta("1h").to_pytimedelta()).tolist() == [False, True, True, False]


def test_bars_of_a_year():
    assert bars_per_year("always", "1h") == pytest.approx(8766, abs=1)
    assert bars_per_year("XNYS", "1d") == pytest.approx(252, abs=1)
    assert bars_per_year("fx", "1d") == pytest.approx(261, abs=1)


def test_an_unknown_calendar_is_named():
    with pytest.raises(StudyError, match="no calendar 'XLON'.*XNYS"):
        grid("XLON", "1h", "2021-01-01", "2021-01-02")
