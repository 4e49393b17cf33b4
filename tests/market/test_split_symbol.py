import numpy as np
import pandas as pd
import pytest

from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.market.split_symbol import main


def split(folder, rows, test):
    stamps = pd.date_range("2021-01-01", periods=rows, freq="D", tz="UTC", unit="us")
    bars = pd.DataFrame(
        {"timestamp": stamps} | {name: np.arange(rows) + 1.0 for name in ("open", "high", "low", "close")}
    )
    bars["volume"] = 5.0
    bars["amount"] = 7.0
    bars.to_parquet(folder / "A.parquet")
    output = {"train": folder / "train/A.parquet", "test": folder / "test/A.parquet"}
    main(Job(input={"bars": folder / "A.parquet"}, output=output, params={"test": test}, wildcards={"symbol": "A"}))
    return bars, pd.read_parquet(output["train"]), pd.read_parquet(output["test"])


def test_the_last_rows_are_the_test_file_and_the_rest_is_the_train_file(tmp_path):
    bars, train, test = split(tmp_path, rows=10, test=3)
    assert (len(train), len(test)) == (7, 3)
    assert train["timestamp"].max() < test["timestamp"].min()
    pd.testing.assert_frame_equal(pd.concat([train, test], ignore_index=True), bars)


def test_a_symbol_too_short_for_the_split_is_named(tmp_path):
    with pytest.raises(StudyError, match="split: A has 3 bars, and the test file alone takes 3"):
        split(tmp_path, rows=3, test=3)
    assert not (tmp_path / "test/A.parquet").exists()
