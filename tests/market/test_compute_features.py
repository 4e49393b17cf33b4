import numpy as np
import pandas as pd
import pytest

from scripts.common.atomic import write_table
from scripts.common.job import Job
from scripts.common.periods import bounds, iso
from scripts.common.timeframes import span_of
from scripts.market import compute_features, compute_panel
from scripts.market import features as feature_sets
from scripts.market.features import technical
from scripts.market.resampling import resample
from tests.market.random_bars import assert_same, random_bars

SYMBOLS = ["AAA", "BBB"]
SETS = [(name, feature_sets.load(name).SCOPE) for name in feature_sets.available()]


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Bars of two symbols as files; the second one starts in February."""
    folder = tmp_path_factory.mktemp("bars")
    bars = {"AAA": random_bars(4000, seed=1), "BBB": random_bars(4000, seed=2)[1000:].reset_index(drop=True)}
    for symbol, frame in bars.items():
        write_table(folder / f"{symbol}.parquet", frame)
    return folder, bars


def computed(history, tmp_path, module, features, timeframe, period, symbol="AAA", inputs=None):
    """What a job writes, and the path of it."""
    folder, _ = history
    panel = module is compute_panel
    start = bounds(period)[0] - span_of(feature_sets.load(features).LOOKBACK, timeframe, "always")
    output = tmp_path / f"{period}.parquet"
    paths = [str(folder / f"{each}.parquet") for each in SYMBOLS]
    module.main(
        Job(
            input={"bars": paths if panel else str(folder / f"{symbol}.parquet")},
            output=[str(output)],
            params={"start": iso(start), "timeframe": "1h", "symbols": SYMBOLS, "digests": [], "inputs": inputs or {}},
            wildcards={"features": features, "timeframe": timeframe, "symbol": symbol, "period": period},
        )
    )
    return output


def inside(table, period):
    start, end = bounds(period)
    return table[(table["timestamp"] >= start) & (table["timestamp"] < end)]


@pytest.mark.parametrize("name", [name for name, scope in SETS if scope == "symbol"])
@pytest.mark.parametrize("timeframe", ["1h", "4h"])
@pytest.mark.parametrize("period", ["2021-01", "2021-05", "2021-Q2"])
def test_a_period_of_features_is_that_part_of_the_whole_history(history, tmp_path, name, timeframe, period):
    written = pd.read_parquet(computed(history, tmp_path, compute_features, name, timeframe, period))
    bars, module = resample(history[1]["AAA"], "1h", timeframe), feature_sets.load(name)
    whole = module.compute(bars)
    whole.insert(0, "timestamp", bars["timestamp"])
    assert_same(written, inside(whole, period))


@pytest.mark.parametrize("name", [name for name, scope in SETS if scope == "panel"])
@pytest.mark.parametrize("period", ["2021-02", "2021-05"])
def test_a_period_of_a_panel_is_that_part_of_the_whole_history(history, tmp_path, name, period):
    written = pd.read_parquet(computed(history, tmp_path, compute_panel, name, "1h", period))
    assert_same(written, inside(feature_sets.load(name).compute(history[1]), period))


def test_optional_inputs_of_a_market_reach_the_set(history, tmp_path):
    groups = {symbol: {"sector": "x", "industry": "y", "subindustry": "z"} for symbol in SYMBOLS}
    inputs = {"industries": groups, "benchmark": "BBB"}
    whole = feature_sets.load("alpha191").compute(history[1], industries=groups, benchmark=history[1]["BBB"])
    written = pd.read_parquet(computed(history, tmp_path, compute_panel, "alpha191", "1h", "2021-05", inputs=inputs))
    assert_same(written, inside(whole, "2021-05"))
    assert "AAA__alpha191_075" in written


def test_a_period_before_the_first_bar_is_an_empty_table_with_all_columns(history, tmp_path):
    written = pd.read_parquet(computed(history, tmp_path, compute_features, "technical", "1h", "2021-01", symbol="BBB"))
    assert written.empty
    assert list(written) == ["timestamp", *technical.names()]
    assert set(written.dtypes[1:]) == {np.dtype("float32")}
    assert written["timestamp"].dtype == history[1]["AAA"]["timestamp"].dtype
    panel = pd.read_parquet(computed(history, tmp_path, compute_panel, "cross_asset", "1h", "2020-12"))
    assert panel.empty
    assert len(panel.columns) == 15


def test_two_runs_write_the_same_bytes(history, tmp_path):
    first = computed(history, tmp_path, compute_features, "technical", "1h", "2021-03").read_bytes()
    assert computed(history, tmp_path, compute_features, "technical", "1h", "2021-03").read_bytes() == first
