import csv
import logging
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scripts.market import expressions, features, formula_sets, formulas
from scripts.market.features import forex575
from tests.market.random_bars import random_bars

FROZEN = Path(__file__).with_name("qlib_values.parquet")
GROUPS = {"AAA": "oil", "BBB": "oil", "CCC": "tech", "DDD": "tech"}


def real(path):
    folder = os.environ.get("QUANTMAKE_REAL_DATA")
    if not folder:
        pytest.skip("QUANTMAKE_REAL_DATA, the folder of real data, is not set")
    return Path(folder) / path


@pytest.fixture(scope="module")
def panel():
    return {symbol: random_bars(900, seed=number) for number, symbol in enumerate(GROUPS)}


# --- the same as qlib


@pytest.mark.parametrize("family", ["alpha158", "alpha360"])
def test_expressions_are_those_of_qlib(family):
    with real(f"formulas/{family}_qlib_mit.csv").open() as file:
        theirs = {row["name"]: expressions.parse(row["formula"], "qlib") for row in csv.DictReader(file)}
    ours = {each.name: each.tree for each in formulas.load(family)}
    assert list(ours) == list(theirs)
    assert [name for name in ours if ours[name] != theirs[name]] == []


@pytest.fixture(scope="module")
def frozen():
    """``{kind: {symbol: DataFrame by row}}`` of tests/market/freeze_qlib.py."""
    table = pd.read_parquet(FROZEN)
    return {
        kind: {
            symbol: each.pivot(index="row", columns="name", values="value")
            for symbol, each in own.groupby("symbol", observed=True)
        }
        for kind, own in table.groupby("kind", observed=True)
    }


@pytest.mark.parametrize(("family", "count"), [("alpha158", 158), ("alpha360", 360)])
def test_values_are_those_of_qlibs_own_engine(frozen, family, count):
    equal = dict.fromkeys(formulas.definition(family), True)
    assert len(equal) == count
    for symbol, given in frozen["bars"].items():
        bars = given.astype("float64")
        bars.insert(0, "timestamp", pd.date_range("2020-01-01", periods=len(bars), freq="D", tz="UTC").as_unit("us"))
        if bars["vwap"].notna().all():
            bars["amount"] = bars["vwap"] * bars["volume"]
        panel = expressions.Panel.of({symbol: bars.drop(columns="vwap")})
        assert ("vwap" in panel.proxies) == (symbol == "CCC")
        trees = {each.name: each.tree for each in formulas.load(family)}
        ours, theirs = expressions.evaluate(trees, panel), frozen[family][symbol]
        assert set(theirs) == set(equal) and theirs.notna().all(axis=None)
        for name in equal:
            values, expected = ours[name][theirs.index, 0], theirs[name].to_numpy("float64")
            equal[name] &= bool((np.abs(values - expected) <= 1e-6 * np.abs(expected) + 1e-9).all())
    assert [name for name in equal if not equal[name]] == []


# --- names


def test_names_are_those_of_the_catalogue():
    assert formula_sets.names("alpha158")[0] == "KMID" and formula_sets.names("alpha158")[-1] == "VSUMD60"
    assert formula_sets.names("alpha360")[0] == "alpha360_CLOSE59"
    assert formula_sets.names("alpha101") == tuple(f"alpha101_{number:03d}" for number in range(1, 102))
    assert formula_sets.names("alpha191") == tuple(f"alpha191_{number:03d}" for number in range(1, 192))


def test_forex575_is_158_and_360_and_57_of_technical():
    technical = features.load("technical")
    assert len(forex575.TECHNICAL) == len(set(forex575.TECHNICAL)) == 57
    assert set(forex575.TECHNICAL) < set(technical.names())
    assert len(forex575.names()) == len(set(forex575.names())) == 575
    bars = random_bars(400)
    table = forex575.compute(bars)
    assert tuple(table) == forex575.names()
    for name in ("alpha158", "alpha360", "technical"):
        own = features.load(name).compute(bars)
        shared = [each for each in own if each in table]
        pd.testing.assert_frame_equal(table[shared], own[shared], check_exact=True)


def test_the_set_of_a_feature_is_found_by_whose_columns_are_used():
    sets = ["cross_asset", "alpha101", "forex575"]
    assert features.owner("alpha101_012", sets, ["BTC"]) == "alpha101"
    assert features.owner("BTC__ret_24", sets, ["BTC"]) == "cross_asset"
    assert features.owner("KMID", sets) == "forex575"
    for unknown in ("BTC__alpha101_012", "alpha101_102"):
        with pytest.raises(features.StudyError, match=unknown):
            features.owner(unknown, sets, ["BTC"])


# --- what a market may lack


def left_out(caplog):
    return " ".join(each.getMessage() for each in caplog.records if "left out" in each.getMessage())


@pytest.mark.parametrize(
    ("family", "inputs", "features"),
    [
        ("alpha101", ("industries",), ["048", "058", "100"]),
        ("alpha191", ("benchmark", "factors"), ["030", "075", "182"]),
    ],
)
def test_formulas_that_need_more_are_left_out_by_name_until_it_is_given(panel, caplog, family, inputs, features):
    names = [f"{family}_{each}" for each in features]
    caplog.set_level(logging.INFO, "progress")
    without = formula_sets.compute_panel(family, panel)
    assert not {f"AAA__{name}" for name in names} & set(without)
    assert all(name in left_out(caplog) for name in names)
    caplog.clear()
    stamps = panel["AAA"]["timestamp"]
    factors = pd.DataFrame(np.random.default_rng(3).normal(0, 0.01, (len(stamps), 3)), columns=["mkt", "smb", "hml"])
    factors.insert(0, "timestamp", stamps)
    groups = {s: {"sector": g, "industry": g, "subindustry": s[0]} for s, g in GROUPS.items()}
    given = {"industries": groups, "benchmark": panel["BBB"], "factors": factors}
    table = formula_sets.compute_panel(family, panel, **{name: given[name] for name in inputs})
    assert {f"AAA__{name}" for name in names} <= set(table)
    assert not any(name in left_out(caplog) for name in names)
    for name in without:
        pd.testing.assert_series_equal(table[name], without[name], check_exact=True)


def test_stand_ins_are_named(panel, caplog):
    caplog.set_level(logging.INFO, "progress")
    formula_sets.compute_panel("alpha101", panel)
    (said,) = [each.getMessage() for each in caplog.records if "typical price" in each.getMessage()]
    assert "alpha101_005" in said and "alpha101_012" not in said
    caplog.clear()
    traded = {symbol: bars.assign(amount=bars["close"] * bars["volume"]) for symbol, bars in panel.items()}
    formula_sets.compute_panel("alpha101", traded)
    assert not [each for each in caplog.records if "typical price" in each.getMessage()]


def test_a_formula_that_needs_other_symbols_is_no_feature_of_one():
    with pytest.raises(ValueError, match="need more than the bars of one symbol"):
        formula_sets.compute("alpha191", random_bars(50))


# --- definitions


def test_a_definition_changes_with_an_expression_and_not_with_prose(tmp_path, monkeypatch):
    def digests(text):
        (tmp_path / "alpha158.yaml").write_text(text)
        for each in (formulas.load, formulas._read, formula_sets.definition, features.definition_digest):
            each.cache_clear()
        return features.definition_digest("alpha158"), features.definition_digest("forex575")

    text = (formulas.FOLDER / "alpha158.yaml").read_text()
    (tmp_path / "alpha360.yaml").write_text((formulas.FOLDER / "alpha360.yaml").read_text())
    monkeypatch.setattr(formulas, "FOLDER", tmp_path)
    before = digests(text)
    assert before[0] != before[1] and None not in before
    assert (
        digests(
            text.replace("The body of the candle", "The candle's body").replace(
                "(close - open) / open", "(close - open)  /  open"
            )
        )
        == before
    )
    after = digests(text.replace("(close - open) / open", "(close - open) / close"))
    assert after[0] != before[0] and after[1] != before[1]
    monkeypatch.undo()
    for each in (formulas.load, formulas._read, formula_sets.definition, features.definition_digest):
        each.cache_clear()
    assert features.definition_digest("technical") is None


# --- real stocks


@pytest.fixture(scope="module")
def stocks():
    """136 members of the S&P 500, daily, bars without a price left out as the ingest does."""
    panel = {}
    for path in sorted(real("stocks_1d").glob("*.csv")):
        table = pd.read_csv(path)
        table.columns = [each.lower() for each in table.columns]
        bars = table.rename(columns={"date": "timestamp"})[["timestamp", "open", "high", "low", "close", "volume"]]
        bars = bars.assign(timestamp=pd.to_datetime(bars["timestamp"], utc=True).astype("datetime64[us, UTC]"))
        panel[path.stem] = bars.dropna().astype({"volume": "float64"}).reset_index(drop=True)
    return panel


@pytest.mark.parametrize("family", ["alpha101", "alpha191", "alpha158", "alpha360"])
def test_nearly_all_formulas_are_known_and_vary_on_real_stocks(stocks, family):
    """At least 95 % of the formulas that bars alone can compute are known on most rows, and not constant.

    Most rows: more than half of those of all symbols after the formula's lookback or, if that is longer, a symbol's
    first 250 bars. Not constant: more than one value over all rows and symbols. What misses it are correlations of
    ranks that do not move for days, and what is built on them.
    """
    assert len(stocks) == 136
    panel = expressions.Panel.of(stocks)
    trees = {
        name: tree for name, tree in formula_sets.trees(family).items() if not expressions.needs(tree) - panel.available
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = expressions.evaluate(trees, panel)
    age = np.full((len(panel.timestamp), len(panel.symbols)), -1)
    for column, places in enumerate(panel.places):
        age[places, column] = np.arange(len(places))
    poor = {}
    for name, tree in trees.items():
        own = values[name][age >= min(expressions.lookback(tree), 250)]
        known = own[np.isfinite(own)]
        if len(known) <= len(own) / 2 or known.min() == known.max():
            poor[name] = round(len(known) / len(own), 3)
    assert len(poor) <= 0.05 * len(trees), poor
