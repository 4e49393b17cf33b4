import numpy as np
import pandas as pd
import pytest

from scripts.common.errors import StudyError
from scripts.market import formulas
from scripts.market.expressions import Panel, evaluate, needs, parse

NAN = np.nan


def frame_of(closes, start="2020-01-01", **columns):
    stamps = pd.date_range(start, periods=len(closes), freq="h", tz="UTC")
    frame = {"timestamp": stamps, "open": closes, "high": closes, "low": closes, "close": closes, "volume": 2.0}
    return pd.DataFrame(frame | columns)


def test_a_panel_is_on_the_union_of_stamps():
    panel = Panel.of({"B": frame_of([1.0, 2.0]), "A": frame_of([3.0, 4.0], "2020-01-01 01:00")})
    assert panel.symbols == ("B", "A")
    assert panel.timestamp.dtype == "datetime64[us]"
    assert [str(each) for each in panel.timestamp] == [f"2020-01-01T0{hour}:00:00.000000" for hour in range(3)]
    values = evaluate({"it": parse("close")}, panel)["it"]
    np.testing.assert_array_equal(values, [[1, NAN], [2, 3], [NAN, 4]])


def test_vwap_is_turnover_by_volume_or_a_proxy_that_is_named():
    traded = frame_of([1.0, 2.0], amount=[2.2, 4.4])
    assert Panel.of({"A": traded}).proxies == {}
    values = evaluate({"it": parse("vwap")}, Panel.of({"A": traded}))["it"]
    np.testing.assert_allclose(values[:, 0], [1.1, 2.2])
    without = frame_of([3.0, 6.0], high=[6.0, 9.0])
    panel = Panel.of({"A": without})
    assert panel.proxies["vwap"] == "typical price (high + low + close) / 3: the bars have no amount"
    assert panel.proxies["amount"].startswith("volume * typical price")
    values = evaluate({"v": parse("vwap"), "a": parse("amount")}, panel)
    np.testing.assert_allclose(values["v"][:, 0], [4, 7])
    np.testing.assert_allclose(values["a"][:, 0], [8, 14])
    mixed = Panel.of({"A": traded, "B": without})
    assert mixed.proxies["vwap"] == "typical price (high + low + close) / 3: no amount in the bars of B"
    np.testing.assert_allclose(evaluate({"it": parse("vwap")}, mixed)["it"], [[1.1, 4], [2.2, 7]])


def test_a_bar_without_trades_has_no_vwap():
    frame = frame_of([1.0, 2.0, 3.0], amount=[2.0, 0.0, 6.0], volume=[2.0, 0.0, 2.0])
    np.testing.assert_array_equal(evaluate({"it": parse("vwap")}, Panel.of({"A": frame}))["it"][:, 0], [1, NAN, 3])


def test_infinite_bars_are_unknown():
    frame = frame_of([1.0, np.inf, 3.0])
    np.testing.assert_array_equal(evaluate({"it": parse("close")}, Panel.of({"A": frame}))["it"][:, 0], [1, NAN, 3])


def test_what_a_panel_does_not_have_is_named():
    panel = Panel.of({"A": frame_of([1.0, 2.0])})
    assert panel.available == {"open", "high", "low", "close", "volume", "amount", "vwap"}
    node = parse("indneutralize(close * cap, sector) + benchmark_close - mkt")
    assert needs(node) - panel.available == {"sector", "cap", "benchmark_close", "mkt"}
    with pytest.raises(
        StudyError, match="formula it needs benchmark_close, cap, mkt, sector, which the panel does not"
    ):
        evaluate({"ok": parse("close"), "it": node}, panel)
    assert evaluate({}, panel) == {}


def test_optional_inputs_are_available_as_far_as_they_are_given():
    bars = {"A": frame_of([1.0, 2.0]), "B": frame_of([3.0, 4.0])}
    industries = {"A": {"sector": "x", "industry": None}, "B": {"sector": "x"}}
    benchmark = frame_of([7.0], "2020-01-01 01:00")[["timestamp", "open", "close"]]
    factors = pd.DataFrame({"timestamp": bars["A"]["timestamp"], "mkt": 0.1, "smb": [0.2, NAN], "hml": 0.3})
    cap = {"A": [10.0, 20.0], "B": 30}
    panel = Panel.of(bars, industries=industries, benchmark=benchmark, factors=factors, cap=cap)
    extra = panel.available - Panel.of(bars).available
    assert extra == {"sector", "benchmark_open", "benchmark_close", "mkt", "smb", "hml", "cap"}
    texts = ("indneutralize(close, sector)", "benchmark_close", "smb", "cap")
    values = evaluate({text: parse(text) for text in texts}, panel)
    np.testing.assert_array_equal(values["indneutralize(close, sector)"], [[-1, 1], [-1, 1]])
    np.testing.assert_array_equal(values["benchmark_close"], [[NAN, NAN], [7, 7]])
    np.testing.assert_array_equal(values["smb"], [[0.2, 0.2], [NAN, NAN]])
    np.testing.assert_array_equal(values["cap"], [[10, 30], [20, 30]])


def test_stamps_of_other_zones_and_grains_are_the_same_instants():
    frame = frame_of([1.0, 2.0])
    local = frame.assign(timestamp=frame["timestamp"].dt.tz_convert("America/New_York").dt.as_unit("ns"))
    naive = frame.assign(timestamp=frame["timestamp"].dt.tz_localize(None).dt.as_unit("ms"))
    panel = Panel.of({"A": frame, "B": local, "C": naive})
    assert len(panel.timestamp) == 2
    assert panel.whole


@pytest.mark.parametrize(
    ("bars", "options", "message"),
    [
        ({}, {}, "needs at least one symbol"),
        ({"A": frame_of([1.0]).drop(columns="volume")}, {}, "the bars of A have no column 'volume'"),
        ({"A": frame_of([1.0]).drop(columns="timestamp")}, {}, "the bars of A have no column 'timestamp'"),
        ({"A": frame_of([1.0, 2.0])[::-1]}, {}, "the bars of A are not in order of time"),
        ({"A": pd.concat([frame_of([1.0])] * 2)}, {}, "have a stamp twice"),
        (
            {"A": frame_of([1.0])},
            {"benchmark": frame_of([1.0]).drop(columns="open")},
            "no column open in the benchmark: it needs timestamp, open, close",
        ),
        ({"A": frame_of([1.0])}, {"factors": frame_of([1.0])}, "no column mkt, smb, hml in the factors"),
        ({"A": frame_of([1.0])}, {"benchmark": frame_of([1.0, 2.0])[::-1]}, "the benchmark: the rows are not in order"),
        ({"A": frame_of([1.0])}, {"cap": {"A": [1.0, 2.0]}}, "cap of A has 2 values for 1 bars"),
    ],
)
def test_bad_panels_are_named(bars, options, message):
    with pytest.raises(StudyError, match=message):
        Panel.of(bars, **options)


def test_a_panel_without_any_bar_gives_arrays_without_rows():
    panel = Panel.of({"A": frame_of([])})
    found = evaluate({"it": parse("rank(mean(close, 5)) + quantile(close, 5, 0.5) + ts_rank(close, 9)")}, panel)
    assert found["it"].shape == (0, 1)


def test_a_symbol_without_bars_is_a_column_of_unknown_values():
    panel = Panel.of({"A": frame_of([1.0, 2.0, 3.0]), "B": frame_of([]).astype({"close": float})})
    trees = {each.id: each.tree for family in ("alpha158", "alpha101", "alpha191") for each in formulas.load(family)}
    found = evaluate({name: tree for name, tree in trees.items() if not needs(tree) - panel.available}, panel)
    assert all(np.isnan(each[:, 1]).all() for each in found.values())
    np.testing.assert_array_equal(evaluate({"it": parse("rank(close)")}, panel)["it"], [[1, NAN]] * 3)
