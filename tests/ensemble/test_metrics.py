"""The figures of a stack: pooled, on the same rows, with what they are worth."""

import numpy as np
import pytest

from scripts.common.statistics.auc import auc
from scripts.ensemble import metrics
from tests.ensemble import stacks

MODELS = ["lgb", "xgb", "cross"]


def collect(n=6000, test=None, first=1000, **changed):
    oof = stacks.oof(n, **changed)
    stacked = oof[["timestamp", "fold", "y", "t1"]].assign(p_stack=oof["p_lgb"])[first:].reset_index(drop=True)
    found = metrics.collect(MODELS, oof, stacked, test, stacks.indexes(), horizon=5, permutations=2000)
    return found, oof


def test_the_stack_and_its_bases_are_scored_on_the_same_pooled_rows():
    found, oof = collect()
    same = oof[1000:]
    assert set(found["oof"]["scores"]) == {"stack", *MODELS} and set(found["oof_all_rows"]["scores"]) == set(MODELS)
    for name in MODELS:
        assert found["oof"]["scores"][name]["auc"] == pytest.approx(auc(same["y"], same[f"p_{name}"]))
        assert found["oof_all_rows"]["scores"][name]["auc"] == pytest.approx(auc(oof["y"], oof[f"p_{name}"]))
    assert (found["oof"]["rows"], found["oof_all_rows"]["rows"]) == (5000, 6000)
    assert found["oof"]["effective_rows"] == pytest.approx(1000, rel=0.02)
    assert (found["oof"]["first"], found["oof"]["last"]) == ("2021-02-11T16:00:00Z", "2021-09-07T23:00:00Z")
    scores, best = found["oof"]["scores"], found["oof"]["best_base"]
    assert best["auc"] == max(scores[name]["auc"] for name in MODELS) == scores[best["model"]]["auc"]
    assert best["standard_error"] == scores[best["model"]]["standard_error"]
    gain = best["stack_gain"]
    assert gain["value"] == pytest.approx(scores["stack"]["auc"] - best["auc"]) and gain["low"] < gain["value"] <= 0
    assert found["test"] is None


def test_every_figure_comes_with_its_interval_and_the_band_of_noise():
    score = collect()[0]["oof"]["scores"]["stack"]
    assert score["low"] < score["auc"] - 0.02 < score["auc"] + 0.02 < score["high"]
    assert score["noise"]["p"] < 0.001 and score["noise"]["null_high"] < score["auc"]
    assert (score["noise"]["minimum_shift"], score["noise"]["shifts"]) == (250, 4501)
    accuracy = score["accuracy"]
    assert 0.5 < accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert 0.2 < score["brier"] < 0.26 and 0 <= score["calibration_error"] < 0.2
    assert sum(each["rows"] for each in score["calibration"]) == 5000


def test_noise_is_inside_its_band():
    score = collect(signal=0.0)[0]["oof"]["scores"]["stack"]
    assert score["low"] < 0.5 < score["high"] and score["noise"]["p"] > 0.01


def test_biased_figures_are_listed_under_names_that_say_so():
    found, _ = collect()
    assert "biased" in found["per_window"]["label"] and "never a result" in found["early_stopping"]["label"]
    assert found["early_stopping"]["models"]["xgb"] == {
        "folds": 4,
        "mean": pytest.approx(0.615),
        "min": 0.6,
        "max": 0.63,
    }
    assert found["per_window"]["models"]["lgb"]["folds"] == 3  # one window had a single class


def test_rows_without_a_figure_have_none_of_them():
    for y, p in (
        ([], []),
        ([1, 1, 1], [0.1, 0.2, 0.3]),
        ([0, 1, 1], [0.1, 0.2, 0.3]),
        ([0, 0, 1, 1], [0.1, np.nan, 0, 1]),
    ):
        found = metrics.score(np.array(y), np.array(p), 2.0, minimum_shift=5, permutations=2000)
        assert set(found) == set(metrics.FIGURES) and set(found.values()) == {None}
    found, _ = collect(n=50, first=50)
    assert found["oof"]["rows"] == 0 and found["oof"]["best_base"] is None
