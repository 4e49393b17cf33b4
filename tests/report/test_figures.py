"""Figures are well-formed SVG, the same on every run, and say the numbers of the files they are drawn from."""

from pathlib import Path

import pytest

from scripts.report import (
    draw_auc,
    draw_calibration,
    draw_correlation,
    draw_folds,
    draw_importance,
    draw_quality,
    fold_figure,
    quality_figure,
)
from tests.report import study_files as made

QUALITY = {"figure": "quality.svg", "table": "quality.html", "csv": "quality.csv"}


def draw(folder, name):
    """The words of one figure drawn from made-up files."""
    metrics, gate = made.figures()
    folds = {"folds": made.FOLDS, "horizon": 5}
    accounts, quality, _, _ = made.market()
    return {
        "auc": lambda: made.job(folder, draw_auc.main, {"metrics": metrics, "gate": gate}, "a.svg"),
        "calibration": lambda: made.job(folder, draw_calibration.main, {"metrics": metrics}, "a.svg"),
        "correlation": lambda: made.job(folder, draw_correlation.main, {"diversity": made.likeness()}, "a.svg"),
        "folds": lambda: made.job(folder, draw_folds.main, {"folds": made.plan()}, "a.svg", params=folds),
        "importance": lambda: made.job(folder, draw_importance.main, {"importance": made.gains()}, "a.svg"),
        "quality": lambda: made.job(
            folder, draw_quality.main, {"quality": quality, "accounts": accounts}, QUALITY, wildcards={"market": "made"}
        )["figure"],
    }[name]()


@pytest.mark.parametrize("name", ["auc", "calibration", "correlation", "folds", "importance", "quality"])
def test_a_figure_is_the_same_on_every_run_and_needs_nothing_from_elsewhere(tmp_path, name):
    first = Path(draw(tmp_path, name)).read_bytes()
    assert first == Path(draw(tmp_path, name)).read_bytes()
    assert made.words(draw(tmp_path, name))
    assert b"<dc:date>" not in first and b"@import" not in first and b"<script" not in first


def test_the_auc_figure_names_every_model_with_its_interval_and_marks_what_is_no_result(tmp_path):
    metrics, gate = made.figures()
    words = made.words(made.job(tmp_path, draw_auc.main, {"metrics": metrics, "gate": gate}, "a.svg"))
    for part in ("oof", "test"):
        for score in metrics[part]["scores"].values():
            assert f"{score['auc']:.3f} [{score['low']:.3f}, {score['high']:.3f}]" in words
    assert {"up, AAA, 1h: AUC", "stack", "lgb", "xgb", "gate: at least 0.55"} <= set(words)
    assert "early-stopping AUC, mean of folds: chose the rounds; not a result" in words
    assert f"out-of-fold: 5,500 rows, {metrics['oof']['effective_rows']:,.0f} effective" in words


def test_the_auc_figure_of_a_stack_without_hold_out_shows_none(tmp_path):
    metrics, gate = made.figures(signal=0.0, test=False)
    words = made.words(made.job(tmp_path, draw_auc.main, {"metrics": metrics, "gate": gate}, "a.svg"))
    assert not [word for word in words if "hold-out" in word]


def test_scores_that_do_not_exist_are_left_out(tmp_path):
    metrics, gate = made.figures()
    for figure in metrics["test"]["scores"]["stack"]:
        metrics["test"]["scores"]["stack"][figure] = None
    known = metrics["oof"]["scores"]["stack"]
    words = made.words(made.job(tmp_path, draw_auc.main, {"metrics": metrics, "gate": gate}, "a.svg"))
    assert f"{known['auc']:.3f} [{known['low']:.3f}, {known['high']:.3f}]" in words
    assert made.words(made.job(tmp_path, draw_calibration.main, {"metrics": metrics}, "b.svg"))


def test_the_calibration_figure_has_both_parts_and_their_errors(tmp_path):
    metrics, _ = made.figures()
    words = made.words(made.job(tmp_path, draw_calibration.main, {"metrics": metrics}, "a.svg"))
    assert {"out-of-fold, 5,500 rows", "hold-out, 2,500 rows"} <= set(words)
    stack = metrics["oof"]["scores"]["stack"]
    assert f"stack: calibration error {stack['calibration_error']:.3f}, Brier {stack['brier']:.4f}" in words


@pytest.mark.parametrize(
    ("pruned", "note"), [(True, "xgb left out: like lgb"), (False, "advice: leave xgb out, like lgb")]
)
def test_the_correlation_figure_names_the_redundant_pair(tmp_path, pruned, note):
    diversity = made.likeness(pruned)
    words = made.words(made.job(tmp_path, draw_correlation.main, {"diversity": diversity}, "a.svg"))
    assert f"{diversity['spearman']['xgb']['lgb']:.3f}" in words
    assert {"2,000 out-of-fold rows", "1 pair above 0.98 (framed)"} <= set(words)
    dropped = (diversity["pruned"] or diversity["advice"])[0]
    note = note.replace("xgb", "X").replace("lgb", dropped["because_of"]).replace("X", dropped["model"])
    assert note in words


def test_a_constant_model_has_no_correlation_but_a_place(tmp_path):
    diversity = made.likeness()
    for name in diversity["models"]:
        diversity["spearman"]["cross"][name] = diversity["spearman"][name]["cross"] = None
    words = made.words(made.job(tmp_path, draw_correlation.main, {"diversity": diversity}, "a.svg"))
    assert words.count("constant") == 2


def test_the_fold_figure_counts_folds_and_says_what_is_purged_and_held_out(tmp_path):
    plan, params = made.plan(), {"folds": made.FOLDS, "horizon": 5}
    words = made.words(made.job(tmp_path, draw_folds.main, {"folds": plan}, "a.svg", params=params))
    count = len(plan["folds"])
    assert f"up, AAA, 1h: {count} walk-forward folds" in words and f"{count - 8:,} folds between" in words
    assert {"train 1,800 bars", "validation 200 bars", "test 100 bars", "hold-out"} <= set(words)
    assert words.count("≤ 5 purged") == 2 and f"from {plan['holdout']['start'][:10]}" in words
    assert {"0", "3", str(count - 1), str(count - 4), f"4 to {count - 5}"} <= set(words)


def test_few_folds_have_a_row_each_and_no_validation_no_purge_before_it(tmp_path):
    params = {"folds": made.FOLDS | {"validation": 0, "test": 900, "step": 900}, "horizon": 5}
    plan = made.plan(holdout=0, **{key: params["folds"][key] for key in ("validation", "test", "step")})
    words = made.words(made.job(tmp_path, draw_folds.main, {"folds": plan}, "a.svg", params=params))
    assert {str(fold["fold"]) for fold in plan["folds"]} <= set(words)
    assert words.count("≤ 5 purged") == 1 and "no hold-out" in words
    assert not [word for word in words if "between" in word or "validation" in word]


def test_the_shown_folds_are_the_ends_and_a_band_of_all_others():
    folds = [{"fold": number} for number in range(357)]
    rows = fold_figure.chosen(folds)
    assert [row["fold"] for row in rows if isinstance(row, dict)] == [0, 1, 2, 3, 353, 354, 355, 356]
    assert [fold["fold"] for fold in rows[4]] == list(range(4, 353))
    assert fold_figure.chosen(folds[:12]) == folds[:12]


def test_the_importance_figure_has_the_top_20_of_each_model(tmp_path):
    words = made.words(made.job(tmp_path, draw_importance.main, {"importance": made.gains()}, "a.svg"))
    assert words.count("feature_00") == 2 and words.count("feature_19") == 2 and "feature_20" not in words
    assert "up, AAA, 1h: feature importance, top 20 of each model, 3 folds" in words


def test_no_bar_of_a_later_model_is_cut_off(tmp_path):
    """Both panels share an axis that holds the longest bar: 50 % and 75 % of the gain."""
    words = made.words(made.job(tmp_path, draw_importance.main, {"importance": made.gains()}, "a.svg"))
    assert max(float(word) for word in words if word.replace(".", "").isdigit()) >= 60


def test_the_quality_figure_tells_rows_and_what_was_kept_out(tmp_path):
    words = made.words(draw(tmp_path, "quality"))
    accounts = made.market()[0]
    assert {"made: bars per month", f"{accounts[0]['rows']:,}", f"{accounts[1]['rows']:,}, 2 kept out"} <= set(words)
    assert {"error begins", "warning begins"} <= set(words)


def test_months_are_classed_by_the_share_of_a_usual_month():
    account = made.account("BBB", start="2021-02-20", without=("2022-03-10", "2022-04-20"))
    months = [f"{year}-{month:02d}" for year in (2021, 2022) for month in range(1, 13)]
    found = list(quality_figure.runs(account["months"], months, quality_figure.usual_bars([account])))
    expected = [("none", 1), ("scarce", 1), ("full", 12), ("scarce", 2), ("full", 2), ("none", 6)]
    assert [(name, length) for name, _, length in found] == expected
    assert [start for _, start, _ in found] == [0, 1, 2, 14, 16, 18]


def test_the_findings_are_a_page_and_a_csv_with_the_worst_first(tmp_path):
    accounts, quality, _, _ = made.market()
    paths = made.job(
        tmp_path, draw_quality.main, {"quality": quality, "accounts": accounts}, QUALITY, wildcards={"market": "made"}
    )
    rows = made.csv_rows(paths["csv"])
    assert [(row["symbol"], row["class"], row["count"]) for row in rows] == [
        ("BBB", "negative_price", "2"),
        ("BBB", "gap", "984"),
    ]
    page = made.Cells(paths["table"])
    expected = ["BBB", "negative_price", "error", "2", "2021-06-05 00:00", "2021-06-05 00:00", "close is -1 <b>"]
    assert expected in page.rows
    assert "2 rows kept out" in page.text and "lagged correlation" in page.text


def test_a_market_without_findings_says_so(tmp_path):
    accounts = [made.account("AAA")]
    quality = made.surveys.quality(accounts, [], {"checked": False, "reason": "there is one symbol"}, {"max_gap": "6h"})
    inputs = {"quality": quality, "accounts": accounts}
    paths = made.job(tmp_path, draw_quality.main, inputs, QUALITY, wildcards={"market": "made"})
    text = made.Cells(paths["table"]).text
    assert "No check found anything." in text and "Not compared: there is one symbol." in text
