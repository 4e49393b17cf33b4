import numpy as np
import pandas as pd
import pytest

from scripts.common.errors import StudyError
from scripts.market import bars
from tests.market.random_bars import random_bars


def test_a_span_is_read_half_open_and_in_microseconds(tmp_path):
    frame = random_bars(100)
    frame.astype({"timestamp": "datetime64[ns, UTC]", "volume": "int64"}).to_parquet(tmp_path / "a.parquet")
    part = bars.read(tmp_path / "a.parquet", "2021-01-02T00:00:00Z", "2021-01-03")
    assert part["timestamp"].iloc[[0, -1]].dt.strftime("%d %H").tolist() == ["02 00", "02 23"]
    assert str(part["timestamp"].dtype) == "datetime64[us, UTC]" and part["volume"].dtype == "float64"
    assert len(bars.read(tmp_path / "a.parquet")) == 100


def test_only_known_columns_are_kept_and_missing_ones_are_named():
    frame = random_bars(3).assign(bid=1.0, comment="x")
    assert list(bars.tidy(frame)) == ["timestamp", "open", "high", "low", "close", "volume", "bid"]
    with pytest.raises(StudyError, match="missing: close, volume"):
        bars.tidy(frame.drop(columns=["close", "volume"]))


def test_digests_are_by_month_and_of_values_only(tmp_path):
    frame = random_bars(24 * 59)
    digests = bars.month_digests(frame)
    assert {month: known["rows"] for month, known in digests.items()} == {"2021-01": 744, "2021-02": 672}
    frame.to_parquet(tmp_path / "a.parquet", compression="snappy", row_group_size=100)
    assert bars.month_digests(bars.read(tmp_path / "a.parquet")) == digests
    assert bars.month_digests(frame.assign(volume=-0.0)) == bars.month_digests(frame.assign(volume=0.0)) != digests


@pytest.mark.parametrize("change", ["value", "stamp", "column", "row"])
def test_a_change_in_one_month_changes_its_digest_only(change):
    frame = bars.tidy(random_bars(24 * 59).assign(bid=1.0))
    other = frame.copy()
    row = 24 * 31 + 5
    if change == "value":
        other.loc[row, "close"] = np.nextafter(other.loc[row, "close"], np.inf)
    elif change == "stamp":
        other.loc[row, "timestamp"] += pd.Timedelta("1us")
    elif change == "row":
        other = other.drop(index=row)
    else:
        other = other.rename(columns={"bid": "ask"})
    before, after = bars.month_digests(frame), bars.month_digests(other)
    changed = [month for month in before if before[month] != after[month]]
    assert changed == (["2021-01", "2021-02"] if change == "column" else ["2021-02"])
