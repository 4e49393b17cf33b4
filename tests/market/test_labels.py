import numpy as np
import pandas as pd
import pytest

from scripts.market import labels
from tests.market.random_bars import assert_same, flat_bars, random_bars

BARRIERS = {"horizon": 12, "take_profit": 0.8, "stop_loss": 0.5, "volatility_window": 30, "cost": 0.001}
KINDS = [
    {"kind": "direction", "horizon": 5},
    {"kind": "forward_return", "horizon": 3, "cost": 0.002},
    {"kind": "triple_barrier", **BARRIERS},
]


@pytest.fixture(scope="module")
def bars():
    return random_bars(800, seed=4, missing=[200, 201, 202, *range(400, 440)])


def by_the_book(bars, horizon, take_profit, stop_loss, volatility_window, cost):
    """The triple barrier as its definition reads, one row and one bar at a time."""
    returns = np.log(bars["close"]).diff()
    rows = []
    for t in range(volatility_window, len(bars) - horizon):
        sigma = np.std(returns[t - volatility_window + 1 : t + 1], ddof=1) * np.sqrt(horizon)
        entry = bars["close"][t]
        profit, stop = entry * np.exp(take_profit * sigma), entry * np.exp(-stop_loss * sigma)
        end, price = t + horizon, bars["close"][t + horizon]
        for k in range(t + 1, t + horizon + 1):
            if bars["low"][k] <= stop:
                end, price = k, min(stop, bars["open"][k])
                break
            if bars["high"][k] >= profit:
                end, price = k, profit
                break
        gain = np.log(price / entry) - cost
        rows.append((bars["timestamp"][t], bars["timestamp"][end], np.int8(gain > 0), gain))
    return pd.DataFrame(rows, columns=["timestamp", "t1", "y", "forward_return"])


@pytest.mark.parametrize("seed", range(3))
def test_triple_barrier_equals_its_definition_bar_by_bar(seed):
    bars = random_bars(400, seed=seed, missing=[150, 151])
    ours, expected = labels.triple_barrier(bars, **BARRIERS), by_the_book(bars, **BARRIERS)
    pd.testing.assert_frame_equal(ours, expected, rtol=1e-12, check_dtype=False)
    ends_early = ours["t1"] < bars["timestamp"].shift(-12).iloc[30:-12].reset_index(drop=True)
    assert 0.2 < ends_early.mean() < 0.95
    assert 0.2 < ours["y"].mean() < 0.8


@pytest.mark.parametrize("settings", KINDS, ids=lambda each: each["kind"])
def test_columns_have_the_types_that_the_files_promise(bars, settings):
    table = labels.label(bars, settings)
    assert list(table) == ["timestamp", "t1", "y", "forward_return"]
    assert table["timestamp"].dtype == table["t1"].dtype == bars["timestamp"].dtype
    assert table["y"].dtype == "int8"
    assert table["forward_return"].dtype == "float64"
    assert table.notna().all().all()
    assert set(table["y"]) == {0, 1}
    assert (table["y"] == (table["forward_return"] > 0)).all()


@pytest.mark.parametrize("settings", KINDS, ids=lambda each: each["kind"])
def test_a_label_needs_no_bar_beyond_its_lookahead_and_lookback(bars, settings):
    whole = labels.label(bars, settings).set_index("timestamp")
    before, after = labels.lookback(settings), labels.lookahead(settings)
    for t in (100, 198, 399, 500):
        alone = labels.label(bars[t - before : t + after + 1].reset_index(drop=True), settings)
        assert_same(alone, whole.loc[[bars["timestamp"][t]]].reset_index())


@pytest.mark.parametrize("settings", KINDS, ids=lambda each: each["kind"])
def test_rows_without_a_known_future_are_absent(bars, settings):
    table = labels.label(bars, settings)
    last = bars["timestamp"].iloc[-1 - settings["horizon"]]
    assert table["timestamp"].iloc[-1] == last
    assert labels.label(bars[: settings["horizon"]], settings).empty


def test_direction_compares_the_close_with_the_one_a_horizon_later(bars):
    table = labels.direction(bars, 5)
    close = bars["close"].to_numpy()
    np.testing.assert_array_equal(table["y"], close[5:] > close[:-5])
    np.testing.assert_allclose(table["forward_return"], np.log(close[5:] / close[:-5]))


def test_an_unchanged_close_is_not_a_rise():
    table = labels.direction(flat_bars(10), 1)
    assert (table["y"] == 0).all()
    assert (table["forward_return"] == 0).all()


def test_forward_return_must_exceed_the_cost(bars):
    free, costly = labels.forward_return(bars, 3, 0.0), labels.forward_return(bars, 3, 0.01)
    np.testing.assert_allclose(costly["forward_return"], free["forward_return"] - 0.01)
    np.testing.assert_array_equal(costly["y"], free["forward_return"] > 0.01)


def test_t1_is_the_bar_that_ends_the_label_also_across_gaps(bars):
    table = labels.direction(bars, 5).set_index("timestamp")
    stamps = bars["timestamp"]
    assert (table["t1"].to_numpy() == stamps[5:].to_numpy()).all()
    gap = stamps.diff().gt(pd.Timedelta(hours=30)).idxmax()
    before = table.loc[stamps[gap - 1], "t1"]
    assert before == stamps[gap + 4]
    assert before - stamps[gap - 1] == pd.Timedelta(hours=45)


def path(*bars):
    """Thirty-one bars around 100 that set the volatility, then the given (open, high, low, close)."""
    close = 100 * np.exp(0.01 * np.where(np.arange(31) % 2, 1.0, 0.0))
    rows = [(price, price, price, price) for price in close] + list(bars)
    stamps = pd.date_range("2021-01-01", periods=len(rows), freq="1h", tz="UTC").as_unit("us")
    return pd.DataFrame(rows, columns=["open", "high", "low", "close"]).assign(timestamp=stamps)


@pytest.mark.parametrize(
    ("bar", "gain"),
    [
        ((100, 105, 95, 104), "stop"),  # both touched: the loss counts
        ((100, 105, 99.9, 100), "profit"),
        ((90, 91, 89, 90.5), np.log(0.90)),  # opens beyond the stop: left at the open
        ((110, 111, 109, 110), "profit"),  # opens beyond the profit: no more than the barrier
        ((100, 100.1, 99.9, 100.05), np.log(1.0002)),  # neither: the close after the horizon
    ],
)
def test_exits_are_decided_against_the_position(bar, gain):
    bars = path(bar, (100, 100.1, 99.9, 100.02))
    sigma = np.std(np.diff(np.log(bars["close"][:31])), ddof=1) * np.sqrt(2)
    expected = {"stop": -sigma, "profit": sigma}.get(gain, gain) - 0.0005
    table = labels.triple_barrier(bars, 2, 1.0, 1.0, 30, 0.0005)
    assert table["forward_return"].tolist() == pytest.approx([expected])
    assert table["y"].tolist() == [int(expected > 0)]
    assert table["t1"].iloc[0] == bars["timestamp"][32 if gain == np.log(1.0002) else 31]


def test_labels_that_start_or_end_at_a_price_of_zero_are_absent(bars):
    broken = bars.assign(close=bars["close"].where(bars.index != 300, 0.0))
    table = labels.direction(broken, 5)
    assert np.isfinite(table["forward_return"]).all()
    assert {*labels.direction(bars, 5)["timestamp"]} - {*table["timestamp"]} == {*bars["timestamp"][[295, 300]]}
    assert np.isfinite(labels.triple_barrier(broken, **BARRIERS)["forward_return"]).all()


def test_no_barrier_can_be_set_where_nothing_moves():
    assert labels.triple_barrier(flat_bars(200), **BARRIERS).empty
