import warnings

import numpy as np
import pandas as pd
import pytest

from scripts.market.features import cross_asset
from tests.market.random_bars import assert_same, flat_bars, random_bars


@pytest.fixture(scope="module")
def panel():
    """Three symbols, one of which starts later and one of which misses bars."""
    missing = [*range(900, 905), 1500, *range(2400, 2406)]
    return {
        "AAA": random_bars(3000, seed=1),
        "BBB": random_bars(3000, seed=2)[1000:].reset_index(drop=True),
        "CCC": random_bars(3000, seed=3, missing=missing),
    }


@pytest.fixture(scope="module")
def table(panel):
    return cross_asset.compute(panel)


def test_each_symbol_has_seven_columns_in_the_order_of_the_panel(panel, table):
    assert len(cross_asset.names()) == 7
    assert list(table) == ["timestamp"] + [f"{symbol}__{name}" for symbol in panel for name in cross_asset.names()]
    assert set(table.dtypes[1:]) == {np.dtype("float32")}


def test_a_symbol_is_unknown_before_its_first_bar_and_where_it_misses_one(panel, table):
    late = [f"BBB__{name}" for name in cross_asset.names()]
    assert table[late][:1000].isna().all().all()
    assert table[late][1073:].notna().all().all()
    holes = [f"CCC__{name}" for name in cross_asset.names()]
    assert table.loc[900:904, holes].isna().all().all()
    assert table.loc[905:1499, holes].notna().all().all()


def test_values_equal_their_definitions(panel):
    panel = {symbol: random_bars(500, seed=seed) for seed, symbol in enumerate(("AAA", "BBB", "CCC"))}
    table = cross_asset.compute(panel)
    logs = pd.DataFrame({symbol: np.log(bars["close"]) for symbol, bars in panel.items()})
    ret, day, volume = logs.diff(), logs.diff(24), np.log(panel["BBB"]["volume"])
    expected = {
        "ret_4": logs["BBB"].diff(4),
        "ret_24": day["BBB"],
        "hvol_24": ret["BBB"].rolling(24).std(),
        "relative_ret_24": day["BBB"] - day.mean(axis=1),
        "panel_corr_72": ret["BBB"].rolling(72).corr(ret.mean(axis=1)),
        "volume_z_72": (volume - volume.rolling(72).mean()) / volume.rolling(72).std(),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(table[f"BBB__{name}"][73:], values[73:], rtol=1e-5, atol=1e-7, err_msg=name)


def test_the_mean_of_the_panel_is_that_of_the_symbols_that_trade(panel, table):
    before = table[100:800]
    together = before["AAA__relative_ret_24"] + before["CCC__relative_ret_24"]
    np.testing.assert_allclose(together, 0, atol=1e-6)


def test_a_changed_peer_leaves_the_own_columns_of_others_alone(panel, table):
    changed = panel | {"CCC": panel["CCC"].assign(volume=1.0, close=lambda b: b["close"] * np.linspace(1, 2, len(b)))}
    own = [f"AAA__{name}" for name in ("ret_1", "ret_4", "ret_24", "hvol_24", "volume_z_72")]
    assert_same(cross_asset.compute(changed)[own], table[own])


def test_flat_silent_and_absent_symbols_give_no_infinity_and_no_warning():
    panel = {"AAA": random_bars(300), "FLAT": flat_bars(300), "NONE": random_bars(300)[:0]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = cross_asset.compute(panel)
    assert not np.isinf(table.drop(columns="timestamp").to_numpy()).any()
    assert table["FLAT__panel_corr_72"].isna().all()
    assert table[[f"NONE__{name}" for name in cross_asset.names()]].isna().all().all()
