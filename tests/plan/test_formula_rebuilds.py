"""Formula sets in the workflow: what an edit of the catalogue reruns, and whose columns a model gets."""

import copy

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.planning import plan
from tests.tiny import STUDY, jobs_run, snakemake, write_study

FOLDER = "results/tiny/market/made/features"
ALONE = f"{FOLDER}/alpha158/1h/AAA/2021-03.parquet"
PANEL = f"{FOLDER}/alpha101/1h/panel/2021-03.parquet"
JOBS = {ALONE: "compute_features alpha158 made 2021-03 AAA 1h", PANEL: "compute_panel alpha101 made 2021-03 1h"}


def edit(checkout, file, old, new):
    path = checkout / file
    text = path.read_text()
    assert old in text, f"{file} has no {old!r}"
    path.write_text(text.replace(old, new, 1))


@pytest.fixture
def computed(checkout):
    """The built checkout with one month of two formula sets."""
    snakemake(checkout, ALONE, PANEL)
    assert plan(checkout, targets=JOBS) == []
    return checkout


def test_a_changed_expression_reruns_its_set_and_changed_prose_nothing(computed):
    edit(computed, "resources/formulas/alpha158.yaml", "The body of the candle", "The candle's body")
    assert plan(computed, targets=JOBS) == []
    edit(computed, "resources/formulas/alpha158.yaml", "expression: open / close", "expression: close / open")
    assert plan(computed, targets=JOBS) == [JOBS[ALONE]]


def test_an_optional_input_reruns_the_sets_that_take_it(computed):
    study = copy.deepcopy(STUDY)
    study["markets"]["made"]["industries"] = {symbol: {"sector": "coins"} for symbol in ("AAA", "BBB", "CCC")}
    write_study(computed, study)
    assert plan(computed, targets=JOBS) == [JOBS[PANEL]]
    assert plan(computed) == []
    before = {each for each in pq.read_schema(computed / PANEL).names if each.startswith("AAA__")}
    snakemake(computed, PANEL)
    after = {each for each in pq.read_schema(computed / PANEL).names if each.startswith("AAA__")}
    assert before < after and "AAA__alpha101_058" in after - before


def test_files_of_optional_inputs_are_inputs(computed):
    study = copy.deepcopy(STUDY)
    study["markets"]["made"] |= {"industries": "data/groups.csv", "factors": "data/factors.csv", "benchmark": "CCC"}
    write_study(computed, study)
    (computed / "data/groups.csv").write_text("symbol,sector\nAAA,x\nBBB,x\nCCC,y\n")
    days = pd.date_range("2020-12-01", "2021-10-01").strftime("%Y-%m-%d")
    (computed / "data/factors.csv").write_text("date,mkt,smb,hml\n" + "".join(f"{day},0.01,0,0\n" for day in days))
    snakemake(computed, PANEL)
    assert plan(computed, targets=JOBS) == []
    (computed / "data/groups.csv").write_text("symbol,sector\nAAA,x\nBBB,y\nCCC,y\n")
    assert plan(computed, targets=JOBS) == [JOBS[PANEL]]


def test_a_model_gets_the_targets_columns_of_a_set_about_the_target(checkout):
    study = copy.deepcopy(STUDY)
    ensemble = study["ensembles"]["up"]
    ensemble["models"] = {"ranked": ensemble["models"]["lgb"] | {"features": ["alpha101", "cross_asset"], "rounds": 5}}
    ensemble["meta"]["extra"] = ["alpha101_012", "BBB__ret_24"]
    ensemble["timeframes"] = {"1h": {}}
    write_study(checkout, study)
    target = "results/tiny/ensemble/up/AAA/1h/oof.parquet"
    ran = jobs_run(snakemake(checkout, target))
    assert {each.split()[0] for each in ran} == {"compute_panel", "train_folds", "assemble_oof"}
    oof = pd.read_parquet(checkout / target)
    assert oof[["p_ranked", "alpha101_012", "BBB__ret_24"]].notna().all(axis=None)
    panel = pd.concat(
        pd.read_parquet(path) for path in sorted((checkout / FOLDER / "alpha101/1h/panel").glob("*.parquet"))
    )
    expected = panel.set_index("timestamp")["AAA__alpha101_012"].loc[oof["timestamp"]]
    assert (expected.to_numpy() == oof["alpha101_012"].to_numpy()).all()
    ensemble["peers"] = ["BBB"]
    write_study(checkout, study)
    assert {each.split()[0] for each in plan(checkout, targets=[target])} == {"train_folds", "assemble_oof"}
