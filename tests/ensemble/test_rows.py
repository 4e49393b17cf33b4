import numpy as np
import pandas as pd
import pytest

from scripts.common.errors import StudyError
from scripts.ensemble import rows
from tests.ensemble import builders


def test_rows_come_back_in_time_order_with_every_set_side_by_side(tmp_path):
    table = builders.rows(2000, features=4)
    table.x[7, 2] = np.nan
    features, labels = builders.write_market(tmp_path, table, sets=("technical", "other"))
    read = rows.load(features, ["technical", "other"], labels)
    assert len(labels) == 3
    assert read.names == ["f0", "f1", "f2", "f3", "f0_other", "f1_other", "f2_other", "f3_other"]
    assert read.x.dtype == np.float32 and read.x.flags.c_contiguous
    np.testing.assert_array_equal(read.x, np.hstack([table.x, table.x]))
    for name in ("timestamp", "t1", "y", "forward_return"):
        np.testing.assert_array_equal(getattr(read, name), getattr(table, name))
        assert getattr(read, name).dtype == getattr(table, name).dtype


def test_bars_without_a_label_are_left_out(tmp_path):
    table = builders.rows(1000)
    features, labels = builders.write_market(tmp_path, table)
    frame = pd.read_parquet(labels[0])
    frame.drop(index=[3, 4, 5]).to_parquet(labels[0], index=False)
    read = rows.load(features, ["technical"], labels)
    np.testing.assert_array_equal(read.x, np.delete(table.x, [3, 4, 5], axis=0))
    assert len(rows.read_features(features, ["technical"]).x) == 1000  # without labels: every bar


def test_of_a_panel_the_peers_columns_are_taken_in_the_peers_order(tmp_path):
    table = builders.rows(300, features=2)
    features, labels = builders.write_market(tmp_path, table)
    panel = pd.DataFrame({"timestamp": builders.stamps(table.timestamp)})
    for number, column in enumerate(["BTC__ret_1", "BTC__hvol_24", "ETH__ret_1", "ETH__hvol_24", "ETHW__ret_1"]):
        panel[column] = np.float32(number)
    (tmp_path / "panel").mkdir()
    panel.to_parquet(tmp_path / "panel" / "2021-01.parquet", index=False)
    files, sets = [*features, str(tmp_path / "panel" / "2021-01.parquet")], ["technical", "cross_asset"]
    read = rows.load(files, sets, labels, panels={"cross_asset": ["ETH", "BTC"]})
    assert read.names[2:] == ["ETH__ret_1", "ETH__hvol_24", "BTC__ret_1", "BTC__hvol_24"]
    np.testing.assert_array_equal(read.x[0, 2:], [2, 3, 0, 1])
    with pytest.raises(StudyError, match="no `peers`"):
        rows.load(files, sets, labels)
    with pytest.raises(StudyError, match="SOL__"):
        rows.load(files, sets, labels, panels={"cross_asset": ["BTC", "SOL"]})


def test_of_a_panel_about_the_target_its_own_columns_are_taken_under_their_own_names(tmp_path):
    table = builders.rows(300, features=2)
    features, labels = builders.write_market(tmp_path, table)
    panel = pd.DataFrame({"timestamp": builders.stamps(table.timestamp)})
    for number, column in enumerate(
        ["BTC__alpha101_001", "ETH__alpha101_001", "ETH__alpha101_002", "ETHW__alpha101_001"]
    ):
        panel[column] = np.float32(number)
    (tmp_path / "panel").mkdir()
    panel.to_parquet(tmp_path / "panel" / "2021-01.parquet", index=False)
    files = [*features, str(tmp_path / "panel" / "2021-01.parquet")]
    read = rows.load(files, ["technical", "alpha101"], labels, panels={"alpha101": "ETH"})
    assert read.names[2:] == ["alpha101_001", "alpha101_002"]
    np.testing.assert_array_equal(read.x[0, 2:], [1, 2])
    with pytest.raises(StudyError, match="SOL__"):
        rows.load(files, ["technical", "alpha101"], labels, panels={"alpha101": "SOL"})
    _, values = rows.read_column(files[-1:], "ETH__alpha101_002")
    assert set(values) == {2.0}
    with pytest.raises(StudyError, match="no column ETH__alpha101_003.*meta.extra"):
        rows.read_column(files[-1:], "ETH__alpha101_003")


def test_defects_are_errors_that_say_where(tmp_path):
    table = builders.rows(300, features=2)
    features, labels = builders.write_market(tmp_path, table)
    with pytest.raises(StudyError, match="1 feature files for 2 sets"):
        rows.load(features, ["technical", "other"], labels)
    with pytest.raises(StudyError, match="share the names f0, f1"):
        rows.load(features * 2, ["technical", "copy"], labels)
    with pytest.raises(StudyError, match="do not ascend"):
        rows.load(features * 2, ["technical"], labels * 2)
    frame = pd.read_parquet(features[0])
    frame.drop(index=17).to_parquet(features[0], index=False)
    with pytest.raises(StudyError, match="'technical' has no row for 1 labelled bars, the first at 2021-01-01T17"):
        rows.load(features, ["technical"], labels)
    frame.loc[42, "f1"] = np.inf
    frame.to_parquet(features[0], index=False)
    with pytest.raises(StudyError, match="f1 is infinite at 2021-01-02T18"):
        rows.load(features, ["technical"], labels)


def test_a_bar_after_the_last_feature_row_is_missed_too(tmp_path):
    features, labels = builders.write_market(tmp_path, builders.rows(300, features=2))
    pd.read_parquet(features[0])[:-1].to_parquet(features[0], index=False)
    with pytest.raises(StudyError, match="no row for 1 labelled bars"):
        rows.load(features, ["technical"], labels)
