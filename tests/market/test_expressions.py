import dataclasses
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.market import formulas
from scripts.market.expressions import Panel, evaluate, evaluation, lookback, needs, parse
from scripts.market.expressions.operators import OPERATORS
from scripts.market.expressions.syntax import walk
from tests.market.naive_interpreter import Interpreter
from tests.market.troubled_bars import from_naive, market, naive_of, panel_of

FAMILIES = ("alpha158", "alpha360", "alpha101", "alpha191")
# One formula or more for every operator, with unknown values, ties and constants in what it reads.
CASES = [
    "open + high * low - close / volume",
    "(open - close)^2 / (close - open)^(open / high) + volume^-1 + (volume - 400)^3",
    "(open - close)^0.5 - (open - close)^-0.5 * (close - open)^0",
    "exp(volume) * exp(-close) + sqrt(open - close) + log(volume) + sign(open - close) + abs(open - close)",
    "min(open, close) - max(volume, 100) + min(log(volume), 3)",
    "signed_power(open - close, 0.5) + signed_power(close - open, volume / 400)",
    "filter(close, close > open) - filter(volume, !(volume < 200))",
    "volume > 100 ? log(volume) : close <= open ? -close : 1 / volume",
    "log(volume) > 4 && close >= open || log(volume) == 5 && close != open ? 1 : 0",
    "log(volume) >= 4 || close > open ? 1 : 0",
    "log(volume) < 4 && close > open",
    "rank(log(volume)) + rank(sign(close - open)) - rank(filter(close, close > open))",
    "scale(log(volume)) - scale(close - open, 3)",
    "indneutralize(log(volume), sector) + indneutralize(close, industry) - indneutralize(returns, subindustry)",
    "delay(log(volume), 3) - delta(log(volume), 2) + delta(close, 0)",
    "sum(log(volume), 7) + sum(close, 1)",
    "mean(log(volume), 7) - mean(close > open ? 1 : 0, 10)",
    "stddev(log(volume), 7) + stddev(close, 2)",
    "product(log(volume), 5) + product(close > open ? returns : 1, 20)",
    "ts_min(log(volume), 7) + ts_max(log(volume), 7) - ts_max(open, 1)",
    "ts_argmin(log(volume), 7) - ts_argmax(sign(close - open), 9)",
    "highday(log(volume), 7) - lowday(sign(close - open), 9)",
    "ts_rank(log(volume), 7) + ts_rank(sign(close - open), 300)",
    "quantile(log(volume), 7, 0.3) + quantile(close, 20, 0.8) - quantile(close, 5, 0) + quantile(open, 6, 1)",
    "correlation(log(volume), close, 7) + correlation(sign(close - open), volume, 6)",
    "covariance(log(volume), close, 7) - covariance(rank(close), rank(volume), 5)",
    "decay_linear(log(volume), 9) + wma(log(volume), 9)",
    "sma(log(volume), 6, 1) + sma(close, 13, 2) + sma(close, 4, 4)",
    "regbeta(log(volume), close, 9) - regbeta(close, volume, 12, log(volume) > 4)",
    "regresi(log(volume), close, 9) + regresi(returns, mkt, smb, hml, 30) + regresi(close, open, volume, 12)",
    "slope(log(volume), 7) - rsquare(log(volume), 9) + resi(log(volume), 9) + resi(close, 2)",
    "count(log(volume) > 4, 9) + count(close > open, 1)",
    "sumif(log(volume), 9, close > open) - sumif(close, 6, log(volume) > 4)",
    "adv20 + returns + cap + amount * vwap + benchmark_open - delay(benchmark_close, 2) + mkt * smb - hml",
    "mean(rank(mean(rank(close), 3)), 4) + rank(rank(volume))",
]


def assert_same_bits(first, second, what):
    canonical = [np.where(np.isnan(each), np.nan, each) for each in (first, second)]
    assert canonical[0].tobytes() == canonical[1].tobytes(), what


def formula_trees():
    return {each.id: each.tree for family in FAMILIES for each in formulas.load(family)}


# --- against the naive interpreter


@pytest.fixture(scope="module")
def small():
    made = market(330)
    return panel_of(*made), naive_of(*made)


def test_the_cases_have_every_operator():
    assert {node.operator for case in CASES for node in walk(parse(case)) if node.arguments} == set(OPERATORS)


@pytest.mark.parametrize("text", CASES)
def test_operators_equal_the_naive_interpreter(small, text):
    panel, naive = small
    node = parse(text)
    values = evaluate({"it": node}, panel)["it"]
    assert 0 < np.isfinite(values).sum() < values.size
    np.testing.assert_allclose(values, from_naive(naive, node, panel), rtol=1e-9, atol=1e-12)


# 1e-12 in absolute terms is for formulas that subtract equals; all others are far from it.
@pytest.mark.parametrize("family", FAMILIES)
def test_every_formula_equals_the_naive_interpreter(small, family):
    panel, naive = small
    trees = {each.id: each.tree for each in formulas.load(family)}
    for name, values in evaluate(trees, panel).items():
        assert np.isfinite(values).mean() > 0.02, f"{name}: hardly a value to compare"
        expected = from_naive(naive, trees[name], panel)
        np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-12, err_msg=name)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.one_of(st.none(), st.integers(-3, 3), st.floats(-100, 100, width=16)), min_size=1, max_size=30),
    st.integers(2, 12),
    st.sampled_from(["sum", "mean", "stddev", "ts_min", "ts_argmax", "ts_rank", "decay_linear", "slope", "resi"]),
)
def test_windows_over_any_values_equal_the_naive_interpreter(values, n, operator):
    node = parse(f"{operator}(close, {n})")
    stamps = pd.date_range("2020-01-01", periods=len(values), freq="h", tz="UTC")
    prices = [np.nan if each is None else float(each) for each in values]
    frame = pd.DataFrame({"timestamp": stamps} | dict.fromkeys(("open", "high", "low", "close", "volume"), prices))
    panel = Panel.of({"A": frame})
    rows = [{"timestamp": s, "close": None if v is None else float(v)} for s, v in zip(stamps, values, strict=True)]
    expected = from_naive(Interpreter({"A": rows}), node, panel)
    np.testing.assert_allclose(evaluate({"it": node}, panel)["it"], expected, rtol=1e-9, atol=1e-12)


# --- against pandas and NumPy, where nothing is missing

SERIES = pd.Series(np.random.default_rng(5).standard_normal(300).cumsum() + 100)
OTHER = pd.Series(np.random.default_rng(6).standard_normal(300) + 0.1 * SERIES)


@pytest.fixture(scope="module")
def plain():
    stamps = pd.date_range("2020-01-01", periods=300, freq="h", tz="UTC")
    frame = {"timestamp": stamps, "open": OTHER, "high": SERIES + 1, "low": SERIES - 1, "close": SERIES, "volume": 1.0}
    return Panel.of({"A": pd.DataFrame(frame)})


def _fit(window):
    slope, start = np.polyfit(np.arange(len(window)), window, 1)
    return slope, window[-1] - (start + slope * (len(window) - 1))


def _left(rows):
    y, x = SERIES.iloc[rows.index], OTHER.iloc[rows.index]
    design = np.column_stack([np.ones(len(x)), x, np.square(x)])
    return y.iloc[-1] - design[-1] @ np.linalg.lstsq(design, y, rcond=None)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sum(close, 20)", SERIES.rolling(20).sum()),
        ("mean(close, 20)", SERIES.rolling(20).mean()),
        ("stddev(close, 20)", SERIES.rolling(20).std()),
        ("ts_max(close, 20)", SERIES.rolling(20).max()),
        ("ts_min(close, 20)", SERIES.rolling(20).min()),
        ("ts_argmax(close, 20)", SERIES.rolling(20).apply(lambda x: x.argmax() + 1, raw=True)),
        ("ts_rank(close, 20)", SERIES.rolling(20).rank(pct=True)),
        ("ts_rank(close, 150)", SERIES.rolling(150).rank(pct=True)),
        ("quantile(close, 20, 0.2)", SERIES.rolling(20).quantile(0.2)),
        ("correlation(close, open, 20)", SERIES.rolling(20).corr(OTHER)),
        ("covariance(close, open, 20)", SERIES.rolling(20).cov(OTHER)),
        ("regbeta(close, open, 20)", SERIES.rolling(20).cov(OTHER) / OTHER.rolling(20).var()),
        ("slope(close, 20)", SERIES.rolling(20).apply(lambda x: _fit(x)[0], raw=True)),
        ("resi(close, 20)", SERIES.rolling(20).apply(lambda x: _fit(x)[1], raw=True)),
        ("rsquare(close, 20)", SERIES.rolling(20).corr(pd.Series(np.arange(300.0))) ** 2),
        ("regresi(close, open, open^2, 20)", SERIES.rolling(20).apply(_left)),
        ("decay_linear(close, 20)", SERIES.rolling(20).apply(lambda x: x @ np.arange(1, 21) / 210, raw=True)),
        (
            "wma(close, 20)",
            SERIES.rolling(20).apply(lambda x: np.average(x, weights=0.9 ** np.arange(20)[::-1]), raw=True),
        ),
        ("delta(close, 3)", SERIES.diff(3)),
        ("returns", SERIES.pct_change()),
    ],
)
def test_windows_equal_pandas(plain, text, expected):
    values = evaluate({"it": parse(text)}, plain)["it"][150:, 0]
    np.testing.assert_allclose(values, expected[150:], rtol=1e-6, atol=1e-9)


def test_an_sma_is_the_recursion_once_its_start_is_forgotten(plain):
    for n, m in ((20, 1), (13, 2), (3, 1), (7, 7)):
        recursion = [SERIES[0]]
        for value in SERIES[1:]:
            recursion.append((m * value + (n - m) * recursion[-1]) / n)
        node = parse(f"sma(close, {n}, {m})")
        warm = min(lookback(node), 299)
        if n == 20:
            # of 538 bars before the row only the 299 that there are: 0.95^299 of the start is left
            assert warm == 299
            values = evaluate({"it": node}, plain)["it"][warm:, 0]
            np.testing.assert_allclose(values, recursion[warm:], rtol=1e-6)
            continue
        values = evaluate({"it": node}, plain)["it"][warm:, 0]
        np.testing.assert_allclose(values, recursion[warm:], rtol=1e-9)


# --- the definitions, by hand


@pytest.fixture(scope="module")
def three():
    """Three symbols on five stamps; B misses the second, C's prices are unknown on the last."""
    stamps = pd.date_range("2020-01-01", periods=5, freq="h", tz="UTC")
    closes = {"A": [1, 2, 2, 4, 0], "B": [5, 2, 3, 3], "C": [1, 2, 3, 4, np.nan]}
    bars = {}
    for symbol, close in closes.items():
        own = stamps if symbol != "B" else stamps.delete(1)
        frame = {"timestamp": own, "open": 1.0, "high": 5.0, "low": 0.0, "close": close, "volume": 2.0}
        bars[symbol] = pd.DataFrame(frame)
    return Panel.of(bars, industries={"A": {"sector": "x"}, "B": {"sector": "x"}, "C": {"sector": "y"}})


NAN = np.nan


@pytest.mark.parametrize(
    ("text", "a", "b", "c"),
    [
        ("close", [1, 2, 2, 4, 0], [5, NAN, 2, 3, 3], [1, 2, 3, 4, NAN]),
        ("rank(close) * 6", [3, 4.5, 3, 5, 3], [6, NAN, 3, 2, 6], [3, 4.5, 6, 5, NAN]),
        ("delay(close, 1)", [NAN, 1, 2, 2, 4], [NAN, NAN, 5, 2, 3], [NAN, 1, 2, 3, 4]),
        ("1 / close", [1, 0.5, 0.5, 0.25, NAN], [0.2, NAN, 0.5, 1 / 3, 1 / 3], [1, 0.5, 1 / 3, 0.25, NAN]),
        ("log(close)^0", [1, 1, 1, 1, NAN], [1, NAN, 1, 1, 1], [1, 1, 1, 1, NAN]),
        ("close > 2 || open > 0", [1, 1, 1, 1, 1], [1, NAN, 1, 1, 1], [1, 1, 1, 1, 1]),
        ("close > 2 && open > 0", [0, 0, 0, 1, 0], [1, NAN, 0, 1, 1], [0, 0, 1, 1, NAN]),
        ("mean(close, 2)", [NAN, 1.5, 2, 3, 2], [NAN, NAN, 3.5, 2.5, 3], [NAN, 1.5, 2.5, 3.5, NAN]),
        ("mean(close, 4)", [NAN, NAN, 5 / 3, 9 / 4, 2], [NAN, NAN, NAN, 10 / 3, 13 / 4], [NAN, NAN, 2, 2.5, 3]),
        ("sum(close, 4)", [NAN, NAN, 5, 9, 8], [NAN, NAN, NAN, 10, 13], [NAN, NAN, 6, 10, 9]),
        ("ts_argmax(close, 4)", [NAN, NAN, 3, 4, 3], [NAN, NAN, NAN, 2, 1], [NAN, NAN, 4, 4, 3]),
        ("highday(close, 4)", [NAN, NAN, 1, 0, 1], [NAN, NAN, NAN, 2, 3], [NAN, NAN, 0, 0, 1]),
        ("ts_rank(close, 3) * 6", [NAN, NAN, 5, 6, 2], [NAN, NAN, NAN, 4, 5], [NAN, NAN, 6, 6, NAN]),
        ("decay_linear(close, 3) * 6", [NAN, NAN, 11, 18, 10], [NAN, NAN, NAN, 18, 17], [NAN, NAN, 14, 20, NAN]),
        ("count(close > 2, 3)", [NAN, NAN, 0, 1, 1], [NAN, NAN, NAN, 2, 2], [NAN, NAN, 1, 2, NAN]),
        ("sumif(close, 3, close > 2)", [NAN, NAN, 0, 4, 4], [NAN, NAN, NAN, 8, 6], [NAN, NAN, 3, 7, NAN]),
        ("indneutralize(close, sector)", [-2, 0, 0, 0.5, -1.5], [2, NAN, 0, -0.5, 1.5], [0, 0, 0, 0, NAN]),
        ("scale(close, 7)", [1, 3.5, 2, 28 / 11, 0], [5, NAN, 2, 21 / 11, 7], [1, 3.5, 3, 28 / 11, NAN]),
        ("stddev(open, 3)", [NAN, NAN, 0, 0, 0], [NAN, NAN, NAN, 0, 0], [NAN, NAN, 0, 0, 0]),
        ("correlation(open, close, 3)", [NAN] * 5, [NAN] * 5, [NAN] * 5),
        ("rsquare(open, 3)", [NAN] * 5, [NAN] * 5, [NAN] * 5),
        ("slope(close, 3)", [NAN, NAN, 0.5, 1, -1], [NAN, NAN, NAN, -1, 0.5], [NAN, NAN, 1, 1, NAN]),
        ("2 * 3", [6, 6, 6, 6, 6], [6, NAN, 6, 6, 6], [6, 6, 6, 6, 6]),
    ],
)
def test_definitions(three, text, a, b, c):
    values = evaluate({"it": parse(text)}, three)["it"]
    np.testing.assert_allclose(values, np.column_stack([a, b, c]), rtol=1e-11, atol=1e-11)


def test_what_is_too_large_is_unknown(plain):
    values = evaluate({name: parse(text) for name, text in {
        "power": "(close * 1e200)^2", "times": "close * 1e300 * close^5", "exp": "exp(close * 10)",
        "product": "product(close * 1e100, 5)", "over": "1e300 * close / (1e-200 * close)",
    }.items()}, plain)  # fmt: skip
    for name, each in values.items():
        assert np.isnan(each).all(), name


def test_equal_correlations_rank_equally(plain):
    """Correlations of two rows are 1 or -1, to the bit, whatever the rounding errors of the rows."""
    values = evaluate({"it": parse("correlation(close, open, 2)")}, plain)["it"][1:]
    assert set(np.unique(values)) == {-1.0, 1.0}


def test_in_a_market_that_stands_still_nothing_is_left_of_rounding_errors():
    stamps = pd.date_range("2020-01-01", periods=60, freq="h", tz="UTC")
    frame = pd.DataFrame({"timestamp": stamps} | dict.fromkeys(("open", "high", "low", "close"), 0.1) | {"volume": 3.3})
    texts = ["close - mean(close, 17)", "stddev(close, 17)", "slope(close, 17)", "covariance(close, volume, 7)"]
    texts += ["delta(sum(close, 7), 3)", "vwap - mean(vwap, 19)", "resi(close, 17)"]
    panel = Panel.of({"A": frame})
    for text, values in evaluate({text: parse(text) for text in texts}, panel).items():
        assert (values[25:] == 0).all(), text


# --- laws


@pytest.mark.parametrize("missing", [0, 0.03])
def test_a_row_has_the_same_bits_when_it_is_computed_from_its_lookback_alone(missing):
    """The cut leaves each formula ``lookback`` stamps at which all symbols have a bar, and the rows of a period."""
    trees = formula_trees() | {text: parse(text) for text in CASES}
    bars, benchmark, factors = market(max(map(lookback, trees.values())) + 400, 2, missing)
    panel = panel_of(bars, benchmark, factors)
    whole = evaluate(trees, panel)
    complete = np.flatnonzero(~np.isnan(evaluate({"it": parse("close")}, panel)["it"]).any(axis=1))
    rng = np.random.default_rng(8)
    by_rows = {}
    for name, tree in trees.items():
        by_rows.setdefault(lookback(tree), []).append(name)
    for rows, names in by_rows.items():
        first = complete[rng.integers(rows + 1, len(complete) - 20)]
        start = complete[np.searchsorted(complete, first) - rows]
        within = panel.timestamp[[start, first + 20]]
        cut = [_between(each, *within) for each in (*bars.values(), benchmark, factors)]
        part = panel_of(dict(zip(bars, cut[:-2], strict=True)), *cut[-2:])
        period = slice(np.searchsorted(part.timestamp, panel.timestamp[first]), None)
        for name, values in evaluate({name: trees[name] for name in names}, part).items():
            assert_same_bits(values[period], whole[name][first : first + 21], f"{name}, lookback {rows}")


def _between(frame, start, end):
    stamps = frame["timestamp"].dt.tz_localize(None).to_numpy()
    return frame[(stamps >= start) & (stamps <= end)].reset_index(drop=True)


def test_no_row_depends_on_a_later_bar():
    bars, benchmark, factors = market(700, seed=3)
    trees = formula_trees() | {text: parse(text) for text in CASES}
    before = evaluate(trees, panel_of(bars, benchmark, factors))
    stamp = pd.Timestamp("2016-06-01", tz="UTC")
    rng = np.random.default_rng(9)

    def changed(frame):
        frame = frame.copy()
        later = frame["timestamp"] >= stamp
        for column in frame.columns[1:]:
            frame.loc[later, column] *= rng.uniform(0.5, 2, later.sum())
        return frame

    panel = panel_of({symbol: changed(each) for symbol, each in bars.items()}, changed(benchmark), changed(factors))
    after = evaluate(trees, panel)
    row = np.searchsorted(panel.timestamp, np.datetime64(stamp.tz_localize(None), "us"))
    for name in trees:
        assert_same_bits(before[name][:row], after[name][:row], name)
    changed_rows = [name for name in trees if not np.array_equal(before[name], after[name], equal_nan=True)]
    assert len(changed_rows) > 0.97 * len(trees)


def test_the_size_of_the_pieces_changes_no_bit(monkeypatch):
    trees = formula_trees()
    panel = panel_of(*market(330))
    whole = evaluate(trees, panel)
    monkeypatch.setattr(evaluation, "PIECE", 1)
    for name, values in evaluate(trees, panel).items():
        assert_same_bits(values, whole[name], name)


def test_what_formulas_share_is_computed_once(monkeypatch, small):
    calls = []

    def counting(name):
        operator = OPERATORS[name]

        def compute(*given):
            calls.append(name)
            return operator.compute(*given)

        return dataclasses.replace(operator, compute=compute)

    for name in ("delta", "stddev", "rank"):
        monkeypatch.setitem(OPERATORS, name, counting(name))
    texts = {
        "first": "rank(delta(close, 2)) + stddev(delta(close, 2), 5)",
        "second": "stddev(delta(close, 2), 5) * rank(rank(delta(close, 2)))",
        "third": "delta(close, 2)",
        "fourth": "delta(close, 2)",
    }
    found = evaluate({name: parse(text) for name, text in texts.items()}, small[0])
    assert sorted(calls) == ["delta", "rank", "rank", "stddev"]
    assert list(found) == list(texts)
    assert found["third"] is not found["fourth"]
    np.testing.assert_array_equal(found["third"], found["fourth"])


def test_every_part_is_planned_once_and_after_what_it_reads():
    roots = list(dict.fromkeys(formula_trees().values()))
    done = set()
    for wave in evaluation.waves(roots):
        for node in wave:
            assert node not in done
            assert all(each in done for each in node.arguments if each.arguments)
            done.add(node)
    assert done == {node for root in roots for node in walk(root) if node.arguments}


def test_values_are_freed_after_their_last_use():
    bars, *_ = market(700, seed=3)
    many = {f"{symbol}{copy}": frame for copy in range(20) for symbol, frame in bars.items()}
    panel = Panel.of(many)
    trees = {each.id: each.tree for each in formulas.load("alpha101") if not needs(each.tree) - panel.available}
    one = panel.values["close"].nbytes
    tracemalloc.start()
    found = evaluate(trees, panel)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    parts = {node for tree in trees.values() for node in walk(tree) if node.arguments}
    assert len(parts) > 8 * len(trees)
    assert peak < (2 * len(found) + 60) * one
