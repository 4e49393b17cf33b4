import gzip
import io
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest

from scripts.common.errors import StudyError
from scripts.market.sources import files, load
from tests.market.files_source import settings

HEADER = "timestamp,open,high,low,close,volume"
ROWS = [
    "2021-01-04 00:00:00,1.0,1.2,0.9,1.1,10",
    "2021-01-04 01:00:00,1.1,1.3,1.0,1.2,20",
    "2021-01-04 02:00:00,1.2,1.4,1.1,1.3,30",
]
TIDY = "\n".join([HEADER, *ROWS]) + "\n"


def read(path, content, timeframe="1h", **changes):
    """(frame, notes) of a file with this content (text or bytes) and these settings."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return files.read(
        "AAA", settings(**changes), files=[str(path)], timeframe=timeframe, calendar="always", span={}, seed=None
    )


def stamps(frame):
    return frame["timestamp"].dt.strftime("%m-%d %H:%M").tolist()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "AAA.csv"


def test_a_tidy_csv_is_read_as_it_is(path):
    frame, notes = read(path, TIDY)
    assert stamps(frame) == ["01-04 00:00", "01-04 01:00", "01-04 02:00"]
    assert frame["close"].tolist() == [1.1, 1.2, 1.3] and frame["volume"].tolist() == [10.0, 20.0, 30.0]
    assert frame["reason"].isna().all() and notes == {"file": "AAA.csv", "rows": 3}


@pytest.mark.parametrize("pack", [gzip.compress, lambda text: text, lambda text: b"\xef\xbb\xbf" + text])
def test_gz_and_byte_order_marks_are_recognised_by_content(path, pack):
    assert len(read(path, pack(TIDY.encode()))[0]) == 3
    assert len(read(path, TIDY.encode("utf-16"))[0]) == 3


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators(path, separator):
    assert read(path, TIDY.replace(",", separator))[0]["high"].tolist() == [1.2, 1.3, 1.4]


def test_parquet_with_an_index_zones_and_integers(path):
    index = pd.date_range("2021-01-03 19:00", periods=3, freq="h", tz="America/New_York", name="Timestamp")
    table = pd.DataFrame({"open": [1, 2, 3], "high": 3, "low": 1, "close": 2, "volume": [1, 2, 3]}, index=index)
    content = io.BytesIO()
    table.to_parquet(content)
    frame, _ = read(path, content.getvalue(), pattern="{symbol}.parquet")
    assert stamps(frame) == ["01-04 00:00", "01-04 01:00", "01-04 02:00"] and frame["open"].dtype == "float64"
    with pytest.raises(StudyError, match="parquet file cannot be read"):
        read(path, content.getvalue()[:-50])


def test_optional_columns_scales_and_no_volume(path):
    text = TIDY.replace(HEADER, "time,o,h,l,c,turnover")
    columns = {"timestamp": "time", "open": "o", "high": "h", "low": "l", "close": "c", "volume": None}
    frame, notes = read(path, text, columns=columns | {"amount": "turnover", "bid": "l"}, price_scale=0.001)
    assert frame["amount"].tolist() == [10.0, 20.0, 30.0] and frame["bid"].tolist() == [0.0009, 0.001, 0.0011]
    assert (frame["volume"] == 0).all() and "none in the source" in notes["volume"]
    assert read(path, TIDY, volume_scale=100.0)[0]["volume"].tolist() == [1000.0, 2000.0, 3000.0]


def test_scaled_points_have_no_dust(path):
    text = TIDY.replace("1.1,10", "103428.00000000001,10")
    assert read(path, text, price_scale=0.00001)[0]["close"][0] == 1.03428


def test_a_banner_is_skipped_by_one_setting_which_the_error_names(path):
    text = "https://www.example.com\n" + TIDY
    with pytest.raises(StudyError, match="add 1 to source.skip_rows"):
        read(path, text)
    assert len(read(path, text, skip_rows=1)[0]) == 3


def test_a_file_without_a_header_is_read_by_position(path):
    text = "\n".join(ROWS)
    with pytest.raises(StudyError, match="source.header: false"):
        read(path, text)
    with pytest.raises(StudyError, match="timestamp is 'timestamp'.*first row is: 2021-01-04 00:00:00, 1.0"):
        read(path, text, header=False)
    names = ("timestamp", "open", "high", "low", "close", "volume")
    places = {name: place for place, name in enumerate(names)}
    frame, _ = read(path, text, header=False, columns=places)
    assert frame["close"].tolist() == [1.1, 1.2, 1.3]
    with pytest.raises(StudyError, match="volume is column 9, but the file has 6"):
        read(path, text, header=False, columns=places | {"volume": 9})


def test_missing_columns_are_named_with_the_nearest(path):
    text = TIDY.replace(HEADER, "Date,open,high,low,Closing,tick_volume")
    with pytest.raises(StudyError) as error:
        read(path, text)
    assert "did you mean 'Date'?" in str(error.value) and "did you mean 'tick_volume'?" in str(error.value)
    assert "'close'; did you mean 'Closing'?" in str(error.value)
    frame, _ = read(path, text, columns={"timestamp": "date", "close": "closing", "volume": "tick_volume"})
    assert len(frame) == 3  # the case of a name may differ


def test_two_sets_of_columns_that_differ_in_case_are_kept_apart(path):
    header = f"{HEADER},Open,High,Low,Close,Volume"
    text = f"{header}\n2021-01-04,1,1,1,1,1,,,,,\n2021-01-05,,,,,,2,2,2,2,2\n"
    assert np.isnan(read(path, text)[0]["close"]).tolist() == [False, True]
    with pytest.raises(StudyError, match="'OPEN'"):
        read(path, text, columns={"open": "OPEN"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:7b\nsize 25\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "web page"),
        (HEADER.encode() + b"\n", "not one row"),
        (gzip.compress(TIDY.encode(), mtime=0)[:-12], "cut short"),
    ],
)
def test_what_is_no_table_is_named(path, content, message):
    with pytest.raises(StudyError, match=message):
        read(path, content)


def test_archives_are_named_with_what_is_in_them(path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("prices.csv"))
    with pytest.raises(StudyError, match="tar archive .prices.csv: empty"):
        read(path, packed.getvalue())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", TIDY)
    with pytest.raises(StudyError, match="zip archive"):
        read(path, packed.getvalue())


def test_what_is_no_number_gets_a_reason_and_an_empty_column_an_error(path):
    frame, _ = read(path, TIDY.replace("1.3,1.0,1.2", "1.3,oops,1.2"))
    assert frame["reason"].isna().tolist() == [True, False, True] and frame["reason"][1] == "not a number: low"
    assert np.isnan(frame["low"][1]) and frame["found"][1] == "2021-01-04 01:00:00"
    rows = "\n".join(row.rsplit(",", 1)[0] + "," for row in ROWS)
    with pytest.raises(StudyError, match="volume has no number in any row; set columns.volume: null"):
        read(path, f"{HEADER}\n{rows}\n")


def test_a_line_with_too_many_fields_is_named(path):
    with pytest.raises(StudyError, match="line 3 has 8 fields, the first one has 6"):
        read(path, TIDY.replace("1.2,20", "1.2,20,7,7"))
    assert len(read(path, TIDY.replace("\n", ",\n"))[0]) == 3  # a separator at the end of each line is no field
    assert read(path, TIDY.replace("1.2,20", '"1.2","20"'))[0]["volume"][1] == 20.0


def test_the_zone_of_naive_stamps_is_applied_with_its_summer_time(path):
    text = TIDY.replace("2021-01-04 02", "2021-07-05 02")
    assert stamps(read(path, text, timezone="Europe/Athens")[0]) == ["01-03 22:00", "01-03 23:00", "07-04 23:00"]


def test_hours_that_a_clock_shows_twice_or_never_get_a_reason(path):
    text = TIDY.replace("2021-01-04 01", "2021-03-14 02").replace("2021-01-04 02", "2021-11-07 01")
    frame, _ = read(path, text, timezone="America/New_York")
    assert frame["timestamp"].isna().tolist() == [False, True, True]
    assert frame["reason"][1].startswith("nonexistent hour: the clocks of America/New_York")
    assert frame["reason"][2].startswith("ambiguous hour: the clocks of America/New_York")
    assert frame["found"][2] == "2021-11-07 01:00:00"


def test_daily_stamps_are_dates_whatever_their_zone_or_hour(path):
    texts = ["2021-01-04 00:00:00-05:00", "2021-07-05 16:00", "20210706"]
    content = "\n".join([HEADER] + [f"{each},1,1,1,1,1" for each in texts])
    frame, _ = read(path, content, timeframe="1d", timezone="America/New_York")
    assert stamps(frame) == ["01-04 00:00", "07-05 00:00", "07-06 00:00"]


def test_sources_are_loaded_by_kind():
    assert load("files") is files
    with pytest.raises(StudyError, match="there are: binance, bundled, files, simulate"):
        load("yahoo")
