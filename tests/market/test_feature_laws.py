"""The laws of feature sets, held by every set in the folder."""

import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

from scripts.common.periods import bounds, period_of
from scripts.market import features
from tests.market.random_bars import assert_same, flat_bars, random_bars, real_bars

SETS = {
    scope: [each for each in features.available() if scope == features.load(each).SCOPE]
    for scope in ("symbol", "panel")
}
STOCKS = ("AAPL", "AMZN", "BAC", "GE", "JPM", "KO", "MSFT", "XOM")


def several(seed=0, rows=3000):
    """A panel of six symbols, one of which starts later and two of which miss bars."""
    rng = np.random.default_rng(seed)
    panel = {symbol: random_bars(rows, seed=10 * seed + number) for number, symbol in enumerate(("AAA", "BBB", "CCC"))}
    panel["LATE"] = random_bars(rows, seed=10 * seed + 4)[rows // 3 :].reset_index(drop=True)
    panel["HOLES"] = random_bars(rows, seed=10 * seed + 5, missing=np.flatnonzero(rng.random(rows) < 0.02))
    breaks = [row for row in (*range(900, 905), 1500, *range(2400, 2406)) if row < rows]
    panel["BREAK"] = random_bars(rows, seed=10 * seed + 6, missing=breaks)
    return panel


def between(bars, start, end):
    return bars[(bars["timestamp"] >= start) & (bars["timestamp"] < end)]


def assert_periods_equal_the_whole(name, bars, partition, *, only=None):
    """Computed from each period and the bars of its lookback, a symbol's features are those of its whole history."""
    module = features.load(name)
    whole, stamps = module.compute(bars), bars["timestamp"]
    found = only or dict.fromkeys(period_of(each, partition) for each in stamps.dt.floor("D").unique())
    for period in found:
        start, end = bounds(period)
        rows = slice(int(stamps.searchsorted(start)), int(stamps.searchsorted(end)))
        first = max(rows.start - module.LOOKBACK, 0)
        assert_same(module.compute(bars[first : rows.stop])[rows.start - first :], whole[rows])


def assert_panel_periods_equal_the_whole(name, panel, periods, **inputs):
    """The same of a panel of hourly bars; a symbol that misses bars has fewer of them in its lookback."""
    module = features.load(name)
    whole = module.compute(panel, **inputs)
    for period in periods:
        start, end = bounds(period)
        first = start - module.LOOKBACK * pd.Timedelta("1h")
        cut = {key: between(each, first, end) for key, each in inputs.items() if isinstance(each, pd.DataFrame)}
        part = module.compute({symbol: between(bars, first, end) for symbol, bars in panel.items()}, **inputs | cut)
        inside = (whole["timestamp"] >= start) & (whole["timestamp"] < end)
        assert inside.any()
        assert_same(part[part["timestamp"] >= start], whole[inside])


# --- names and types


def test_no_two_sets_share_a_name_but_for_the_one_that_is_made_of_others():
    names = [name for each in features.available() if each != "forex575" for name in features.load(each).names()]
    names = [name for name in names if name not in features.load("cross_asset").names()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "count"), {"technical": 80, "alpha158": 158, "alpha360": 360, "forex575": 575}.items()
)
def test_each_symbol_set_has_its_columns_in_float32_row_by_row(name, count):
    bars = random_bars(300)[100:]
    table = features.load(name).compute(bars)
    assert tuple(table) == features.load(name).names()
    assert len(set(table)) == count
    assert table.index.equals(bars.index)
    assert set(table.dtypes) == {np.dtype("float32")}


@pytest.mark.parametrize("name", SETS["panel"])
def test_each_panel_set_has_columns_of_every_symbol_in_order(name):
    module, panel = features.load(name), several(rows=300)
    table = module.compute(panel)
    own = [each.removeprefix("AAA__") for each in table if each.startswith("AAA__")]
    assert list(table) == ["timestamp"] + [f"{symbol}__{each}" for symbol in panel for each in own]
    assert [each for each in module.names() if each in own] == own
    assert set(table.dtypes[1:]) == {np.dtype("float32")}
    assert_same(table[["timestamp"]], random_bars(300)[["timestamp"]])


# --- no later bar


@pytest.mark.parametrize("name", SETS["symbol"])
def test_deleting_the_future_changes_nothing(name):
    module, bars = features.load(name), random_bars(3000)
    whole = module.compute(bars)
    for end in (1, 50, 700, 2000):
        assert_same(module.compute(bars[:end]), whole[:end])


@pytest.mark.parametrize("name", SETS["panel"])
def test_deleting_the_future_of_all_symbols_changes_nothing(name):
    module, panel = features.load(name), several()
    whole = module.compute(panel)
    for end in (1, 60, 1050, 2403):
        cut = whole["timestamp"][end]
        assert_same(module.compute({s: bars[bars["timestamp"] < cut] for s, bars in panel.items()}), whole[:end])


# --- bits by period


@pytest.mark.parametrize("name", SETS["symbol"])
def test_periods_computed_with_the_lookback_equal_the_whole_history(name):
    assert_periods_equal_the_whole(name, random_bars(24 * 500, seed=1), "month")


@pytest.mark.parametrize("name", SETS["symbol"])
def test_periods_equal_the_whole_history_across_missing_bars(name):
    rng = np.random.default_rng(5)
    bars = random_bars(6000, seed=2, missing=np.flatnonzero(rng.random(6000) < 0.02))
    module = features.load(name)
    whole = module.compute(bars)
    for period in ("2021-03", "2021-06"):
        start, end = bounds(period)
        # as the jobs read: so many hours, in which some bars are missing
        own = between(bars, start - pd.Timedelta(hours=module.LOOKBACK), end)
        inside = own["timestamp"] >= start
        assert_same(module.compute(own)[inside], whole.loc[own.index[inside]])


@pytest.mark.parametrize("name", SETS["symbol"])
def test_periods_equal_the_whole_history_after_a_long_standstill(name):
    bars = random_bars(4000, seed=6)
    still = bars.index[500:1900]
    bars.loc[still, ["open", "high", "low", "close"]] = bars["close"][499]
    bars.loc[still, "volume"] = 0.0
    assert_periods_equal_the_whole(name, bars, "month")


@pytest.mark.parametrize("name", SETS["symbol"])
def test_quarters_of_daily_bars_equal_the_whole_history(name):
    assert_periods_equal_the_whole(name, random_bars(1500, start="2000-01-01", step="1D"), "quarter")


@pytest.mark.parametrize("name", SETS["panel"])
def test_periods_of_a_panel_equal_the_whole_history_with_late_symbols_and_missing_bars(name):
    assert_panel_periods_equal_the_whole(name, several(1), ["2021-01", "2021-02", "2021-03", "2021-04"])


@pytest.mark.parametrize("name", [each for each in SETS["panel"] if features.inputs(each)])
def test_periods_of_a_panel_with_all_that_formulas_need_equal_the_whole_history(name):
    panel, rng = several(3), np.random.default_rng(4)
    factors = panel["AAA"][["timestamp"]].assign(**{each: rng.normal(0, 0.01, 3000) for each in ("mkt", "smb", "hml")})
    groups = {s: {"sector": s in ("AAA", "LATE"), "industry": s[0], "subindustry": None} for s in panel}
    inputs = {"industries": groups, "benchmark": panel["BREAK"], "factors": factors}
    assert_panel_periods_equal_the_whole(name, panel, ["2021-01", "2021-03", "2021-04"], **inputs)


@pytest.mark.parametrize("name", SETS["panel"])
def test_periods_of_a_panel_equal_the_whole_history_after_a_standstill(name):
    panel = several(2)
    still = panel["BBB"].index[500:1900]
    panel["BBB"].loc[still, ["open", "high", "low", "close"]] = panel["BBB"]["close"][499]
    panel["BBB"].loc[still, "volume"] = 0.0
    assert_panel_periods_equal_the_whole(name, panel, ["2021-02", "2021-03", "2021-04"])


@pytest.mark.parametrize("name", SETS["symbol"])
@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT"])
def test_periods_of_five_real_years_equal_the_whole_history(name, symbol):
    bars = between(real_bars(f"crypto_1h/{symbol}"), "2021-02-20", "2026-02-20").reset_index(drop=True)
    assert len(bars) == 43824
    assert_periods_equal_the_whole(name, bars, "quarter")


@pytest.mark.parametrize("name", SETS["symbol"])
@pytest.mark.parametrize("symbol", ["EURUSD", "XAUUSD"])
def test_months_of_real_forex_bars_equal_the_whole_history(name, symbol):
    assert_periods_equal_the_whole(name, real_bars(f"forex_1h/{symbol}"), "month")


@pytest.mark.parametrize("name", SETS["panel"])
def test_quarters_of_a_real_panel_equal_the_whole_history(name):
    panel = {symbol: real_bars(f"crypto_1h/{symbol}") for symbol in ("ETHUSDT", "BTCUSDT", "SOLUSDT", "BNBUSDT")}
    panel = {symbol: between(bars, "2020-07-01", "2023-01-01") for symbol, bars in panel.items()}
    quarters = [f"{year}-Q{quarter}" for year in (2021, 2022) for quarter in range(1, 5)]
    assert_panel_periods_equal_the_whole(name, panel, ["2020-Q4", *quarters])


# --- numbers or nothing


ODD = {
    "flat": flat_bars(1000),
    "flat but traded": flat_bars(1000, volume=5.0),
    "no volume": random_bars(1000).assign(volume=0.0),
    "volume with zeros": random_bars(1000).assign(volume=lambda b: b["volume"].where(b.index % 3 > 0, 0.0)),
    "closes only": random_bars(1000).assign(
        open=lambda b: b["close"], high=lambda b: b["close"], low=lambda b: b["close"]
    ),
    "huge volume": random_bars(1000).assign(close=lambda b: b["close"].round(0), volume=1e18),
    "price of zero": random_bars(1000).assign(close=lambda b: b["close"].where(b.index != 500, 0.0)),
    "negative price": random_bars(1000).assign(low=lambda b: b["low"].where(b.index != 500, -1.0)),
    "tiny prices": random_bars(1000).assign(
        **{k: lambda b, k=k: b[k] * 1e-9 for k in ("open", "high", "low", "close")}
    ),
    "three bars": random_bars(3),
}


@pytest.mark.parametrize("name", SETS["symbol"])
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_odd_bars_give_numbers_or_nothing_but_no_infinity_and_no_warning(name, odd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = features.load(name).compute(odd)
    assert not np.isinf(table.to_numpy()).any()


@pytest.mark.parametrize("name", SETS["panel"])
def test_odd_symbols_give_numbers_or_nothing_but_no_infinity_and_no_warning(name):
    panel = {"FINE": random_bars(1000, seed=3), "NONE": random_bars(1000)[:0], **ODD}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = features.load(name).compute(panel)
        alone = features.load(name).compute({"FINE": panel["FINE"]})
    assert not np.isinf(table.drop(columns="timestamp").to_numpy()).any()
    assert table[[each for each in table if each.startswith("NONE__")]].isna().all(axis=None)
    assert list(alone) == [each for each in table if each.startswith("FINE__") or each == "timestamp"]


@pytest.mark.parametrize("name", SETS["panel"])
def test_a_panel_without_bars_has_its_columns_and_no_rows(name):
    panel = several(rows=300)
    empty = features.load(name).compute({symbol: bars[:0] for symbol, bars in panel.items()})
    assert_same(empty, features.load(name).compute(panel)[:0])


@pytest.mark.parametrize("name", SETS["symbol"])
def test_no_bars_give_the_columns_and_no_rows(name):
    bars = random_bars(300)
    assert_same(features.load(name).compute(bars[:0]), features.load(name).compute(bars)[:0])


# --- at planning time


def test_planning_imports_nothing_heavy():
    program = (
        "import sys; from scripts.market import features, labels; "
        "print([(m.SCOPE, m.LOOKBACK, len(m.names())) for m in map(features.load, features.available())]); "
        "print([(features.definition_digest(n), features.inputs(n)) for n in features.available()]); "
        "heavy = {'pandas', 'talib', 'scipy', 'pyarrow', 'sklearn'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=".")


def test_a_plan_that_uses_no_formula_reads_none():
    program = (
        "import sys; from scripts.market import features; "
        "print([features.load(each).SCOPE for each in features.available()], features.load('technical').LOOKBACK); "
        "assert 'scripts.market.expressions' not in sys.modules; "
        "from scripts.market import formulas; assert not formulas.load.cache_info().misses"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=".")
