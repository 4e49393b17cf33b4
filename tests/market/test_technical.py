import numpy as np
import pandas as pd
import pytest
import talib

from scripts.market import features
from scripts.market.features import technical
from tests.market.random_bars import flat_bars, random_bars


@pytest.fixture(scope="module")
def bars():
    return random_bars(3000)


@pytest.fixture(scope="module")
def table(bars):
    return technical.compute(bars)


def test_there_are_80_features_each_with_its_own_name(table):
    assert len(technical.names()) == len(set(technical.names())) == 80
    assert tuple(table.columns) == technical.names()
    assert {"ret_1", "rsi_14", "macd_hist", "bb_percent_20", "atr_pct_14", "hvol_20"} < set(technical.names())


def test_every_computed_column_is_listed(bars):
    assert set(technical.compute_columns(bars)) == set(technical.names())


def test_rows_and_index_are_those_of_the_bars_and_all_is_float32(bars):
    later = bars[100:]
    table = technical.compute(later)
    assert table.index.equals(later.index)
    assert set(table.dtypes) == {np.dtype("float32")}


def test_all_is_known_after_the_longest_window(table):
    assert table[169:].notna().all().all()


def test_a_market_that_does_not_move_has_no_relative_strength():
    table = technical.compute(flat_bars(1000))
    assert table[["rsi_14", "adx_14", "bb_percent_20", "stoch_k_14", "cci_20", "volume_z_168"]].isna().all().all()


def test_volume_of_zero_leaves_the_price_features_alone(bars, table):
    silent = technical.compute(bars.assign(volume=0.0))
    price = [name for name in technical.names() if not table[name].equals(silent[name])]
    assert set(price) == set(technical.volume(technical.Series.of(bars)))
    assert silent[price].isna().all().all()


def test_single_bars_without_volume_do_not_blind_the_volume_windows(bars):
    table = technical.compute(bars.assign(volume=bars["volume"].where(bars.index % 10 > 0, 0.0)))
    traded = table[bars.index % 10 > 0][169:]
    assert traded[list(technical.volume(technical.Series.of(bars)))].notna().all().all()


def test_nothing_depends_on_the_scale_of_prices_and_volumes(bars, table):
    scaled = bars.assign(volume=bars["volume"] * 1024, **{k: bars[k] * 64 for k in ("open", "high", "low", "close")})
    # the first rows of a recursion may divide by nearly nothing
    pd.testing.assert_frame_equal(technical.compute(scaled)[200:], table[200:], rtol=1e-4, atol=1e-6)


def test_daily_bars_work_and_their_calendar_is_that_of_the_day():
    daily = random_bars(1500, start="2000-01-01", step="1D")
    table = technical.compute(daily)
    assert (table["hour_cos"] == 1).all()
    # 2000-01-03 was a Monday, 2000-01-31 the last of 31 days, 2000-07-01 half a year on
    assert table.loc[2, ["weekday_sin", "weekday_cos"]].tolist() == [0, 1]
    assert table.loc[30, "month_day_sin"] == pytest.approx(np.sin(2 * np.pi * 30 / 31))
    assert table.loc[182, "month_cos"] == pytest.approx(-1)


def test_indicators_equal_those_of_talib(bars, table):
    o, h, lo, c, v = (bars[k].to_numpy() for k in ("open", "high", "low", "close", "volume"))
    upper, middle, lower = talib.BBANDS(c, 20, 2, 2)
    line, signal, histogram = talib.MACD(c, 12, 26, 9)
    expected = {
        "rsi_14": talib.RSI(c, 14),
        "atr_pct_14": talib.ATR(h, lo, c, 14) / c,
        # its average starts from another seed
        "adx_14": np.where(np.arange(len(c)) < 300, np.nan, talib.ADX(h, lo, c, 14)),
        "macd": line / c,
        "macd_signal": signal / c,
        "macd_hist": histogram / c,
        "bb_percent_20": (c - lower) / (upper - lower),
        "bb_width_20": (upper - lower) / middle,
        "cci_20": talib.CCI(h, lo, c, 20),
        "mfi_14": talib.MFI(h, lo, c, v, 14),
        "stoch_k_14": talib.STOCHF(h, lo, c, 14, 1)[0],
        "sma_ratio_50": c / talib.SMA(c, 50) - 1,
        "body_share": talib.BOP(o, h, lo, c),
    }
    for name, values in expected.items():
        assert np.isfinite(values).sum() > 2600
        known = np.isfinite(values)
        np.testing.assert_allclose(table[name][known], values[known], rtol=1e-4, atol=1e-5, err_msg=name)


def test_statistics_equal_those_of_pandas(bars, table):
    ret = np.log(bars["close"]).diff()
    log_volume = np.log(bars["volume"])
    expected = {
        "ret_6": np.log(bars["close"]).diff(6),
        "roc_24": bars["close"].pct_change(24),
        "hvol_20": ret.rolling(20).std(),
        "ret_z_72": (ret - ret.rolling(72).mean()) / ret.rolling(72).std(),
        "autocorr_72": ret.rolling(72).corr(ret.shift()),
        "parkinson_20": np.sqrt((np.log(bars["high"] / bars["low"]) ** 2).rolling(20).mean() / (4 * np.log(2))),
        "volume_ratio_168": bars["volume"] / bars["volume"].rolling(168).mean(),
        "log_volume_gap_168": log_volume - log_volume.rolling(168).mean(),
        "volume_z_72": (log_volume - log_volume.rolling(72).mean()) / log_volume.rolling(72).std(),
        "drawdown_168": bars["close"] / bars["high"].rolling(168).max() - 1,
        "up_share_24": (ret > 0).rolling(24).mean(),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(table[name][200:], values[200:], rtol=1e-4, atol=1e-6, err_msg=name)


def test_owner_finds_the_set_of_a_column():
    sets = ["technical", "cross_asset"]
    assert features.owner("hvol_20", sets, []) == "technical"
    assert features.owner("BTC__hvol_24", sets, ["BTC"]) == "cross_asset"
    for unknown in ("hvol_21", "hvol_24", "ETH__hvol_24"):
        with pytest.raises(features.StudyError, match=unknown):
            features.owner(unknown, sets, ["BTC"])


def test_unknown_sets_are_named_with_those_that_there_are():
    with pytest.raises(features.StudyError, match=r"no feature set 'technicl'.*cross_asset, forex575, technical"):
        features.load("technicl")
