import pandas as pd
import pytest

from scripts.common.errors import StudyError
from scripts.market.timestamps import to_utc

MOMENT = pd.Timestamp("2021-03-04 15:00", tz="UTC")


@pytest.mark.parametrize(
    "value",
    [
        "2021-03-04 15:00", "2021-03-04T15:00:00Z", "2021-03-04 15:00:00.000", "20210304 15:00", "20210304 150000",
        "2021.03.04 15:00", "2021/03/04 15:00:00", "04.03.2021 15:00:00.000", "2021-03-04 03-PM",
        "2021-03-04 17:00+02:00", "2021-03-04T17:00:00+0200", "2021-03-04 15:00:00 UTC",
        "202103041500", "20210304150000", "1614870000",
        "1614870000000", 1614870000, 1614870000000, 1614870000000000, 1614870000000000000,
        pd.Timestamp("2021-03-04 15:00"), pd.Timestamp("2021-03-04 10:00", tz="America/New_York"),
    ],
)  # fmt: skip
def test_forms_that_can_be_read_in_one_way_only(value):
    stamps, reasons = to_utc(pd.Series([value, value]))
    assert stamps.tolist() == [MOMENT, MOMENT] and reasons.tolist() == [None, None]
    assert str(stamps.dtype) == "datetime64[us, UTC]"


def test_mixed_forms_and_mixed_offsets_in_one_column():
    texts = ["2021-03-25 01:00:00", "2021-03-25", "2021-03-25T23:00:00+02:00", "2021-03-27T00:00:00+03:00", "?"]
    stamps, reasons = to_utc(texts, zone="Europe/Athens")
    assert stamps.strftime("%d %H").tolist()[:4] == ["24 23", "24 22", "25 21", "26 21"]
    assert reasons.tolist() == [None] * 4 + ["unreadable stamp"]


def test_milliseconds_that_become_microseconds():
    stamps, _ = to_utc(pd.Series([1735686000000, 1735689600000000]))
    assert stamps.strftime("%Y-%m-%d %H").tolist() == ["2024-12-31 23", "2025-01-01 00"]


def test_day_or_month_first_must_be_said():
    texts = ["03/04/2021 15:00", "04/04/2021 15:00"]
    with pytest.raises(StudyError, match="'03/04/2021 15:00'.*timestamp_format"):
        to_utc(texts)
    assert to_utc(texts, form="%d/%m/%Y %H:%M")[0].month.tolist() == [4, 4]
    assert to_utc(texts, form="%m/%d/%Y %H:%M")[0].month.tolist() == [3, 4]


def test_given_formats_with_zones_and_epochs():
    assert to_utc(["04.03.21 17:00 +0200"], form="%d.%m.%y %H:%M %z")[0][0] == MOMENT
    assert to_utc(["1614870000"], form="s")[0][0] == MOMENT
    assert to_utc([100000.0], form="ms")[0][0] == pd.Timestamp("1970-01-01 00:01:40", tz="UTC")


def test_daily_bars_keep_the_date_that_stands_there():
    texts = ["2021-03-04 00:00:00-05:00", "2021-03-04T23:00:00+02:00", "2021-03-04"]
    stamps, _ = to_utc(texts, zone="America/New_York", daily=True)
    assert stamps.tolist() == [pd.Timestamp("2021-03-04", tz="UTC")] * 3
    aware = pd.Series(pd.to_datetime(["2021-03-04", "2021-07-05"]).tz_localize("Asia/Tokyo"))
    assert to_utc(aware, daily=True)[0].strftime("%m-%d %H").tolist() == ["03-04 00", "07-05 00"]


def test_a_minority_of_bad_stamps_is_not_fatal_a_majority_is():
    stamps, reasons = to_utc(["2021-03-04 15:00", "2021-03-04 16:00", "total"])
    assert stamps.isna().tolist() == [False, False, True] and reasons[2] == "unreadable stamp"
    with pytest.raises(StudyError, match="2 of 3 stamps cannot be read, such as 'total', 'mean'"):
        to_utc(["2021-03-04 15:00", "total", "mean"])
