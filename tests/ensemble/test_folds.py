"""Folds against their definition, row by row, and against skfolio's splitter."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common.errors import StudyError
from scripts.common.periods import bounds, iso, period_of
from scripts.ensemble import folds

ETH = {
    "train": 8000,
    "validation": 500,
    "test": 100,
    "step": 100,
    "window": "rolling",
    "warmup": 0,
    "holdout": 0,
    "horizon": 5,
    "per_job": 24,
    "partition": "quarter",
    "timeframe": "1h",
    "min_rows_to_stack": 8000,
}


def hours(n, start="2021-02-20"):
    return pd.date_range(start, periods=n, freq="h", tz="UTC", unit="us")


def naive(index):
    return index.tz_localize(None).to_numpy()


def ends(stamps, horizon):
    """t1 of labels that end ``horizon`` bars later; the last ones lie beyond the data."""
    step = stamps[1] - stamps[0]
    return np.append(stamps[horizon:], stamps[-1] + step * np.arange(1, horizon + 1))


@pytest.mark.parametrize(("rows", "warmup"), [(43737, 0), (43824, 87)])
def test_the_source_systems_study_has_its_357_folds(rows, warmup):
    plan = folds.plan(hours(rows), **ETH | {"warmup": warmup})
    assert plan["decision"] == "stack"
    assert len(plan["folds"]) == 357
    assert list(plan["blocks"]) == [f"b{i:03d}" for i in range(15)]
    assert sorted(sum(plan["blocks"].values(), [])) == [fold["fold"] for fold in plan["folds"]]
    assert plan["folds"][0]["test"][0] == iso(hours(rows)[warmup + 8000])


def test_four_hours_are_skipped_with_the_reason():
    grid = pd.date_range("2021-02-20", periods=8000 + 6112 + 5, freq="4h", tz="UTC", unit="us")
    plan = folds.plan(grid, **ETH | {"timeframe": "4h", "test": 16, "step": 16})
    assert (plan["decision"], plan["reason"]) == ("skip", "6112 out-of-fold rows, 8000 needed to stack")


def test_a_short_market_is_skipped_with_the_reason():
    plan = folds.plan(hours(8104), **ETH)
    assert plan["decision"] == "skip"
    assert plan["folds"] == [] and plan["blocks"] == {} and plan["final"] is None
    assert plan["reason"].startswith("no fold fits: 8104 bars") and "8105 needed" in plan["reason"]
    assert len(folds.plan(hours(8105), **ETH | {"min_rows_to_stack": 0})["folds"]) == 1
    held = folds.plan(hours(9000), **ETH | {"holdout": 0.2})
    assert held["reason"].startswith("no fold fits: 5352 bars before the hold-out, which begins 2021-10-01")


def test_a_market_without_a_complete_bar_is_an_error_that_says_so():
    with pytest.raises(StudyError, match="more data"):
        folds.plan(hours(0), **ETH)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(50, 900),
    train=st.integers(10, 120),
    validation=st.integers(0, 9),
    test=st.integers(1, 30),
    gap=st.integers(0, 10),
    horizon=st.integers(1, 30),
    warmup=st.integers(0, 40),
    window=st.sampled_from(["rolling", "expanding"]),
    holdout=st.sampled_from([0, 0.1, 0.4, "2021-03-10"]),
    listed=st.integers(0, 60),
)
def test_folds_follow_the_definition_bar_by_bar(
    n, train, validation, test, gap, horizon, warmup, window, holdout, listed
):
    grid, step = hours(n, "2021-02-25"), test + gap
    own = {"train": train, "validation": validation, "test": test, "step": step, "window": window, "warmup": warmup}
    own |= {"holdout": holdout, "horizon": horizon, "partition": "month"}
    try:
        plan = folds.plan(grid, **ETH | own, first=iso(grid[min(listed, n - 1)]))
    except StudyError:
        assert isinstance(holdout, str) and grid[-1] < pd.Timestamp("2021-03-01", tz="UTC")
        return
    # the hold-out, found by walking back bar by bar
    limit = n
    if isinstance(holdout, str):
        limit = sum(stamp < pd.Timestamp("2021-03-01", tz="UTC") for stamp in grid)
    elif holdout:
        first = max(i for i in range(n) if n - i >= holdout * n)
        limit = sum(stamp < bounds(period_of(grid[first], "month"))[0] for stamp in grid)
    expected, number = [], 0
    while warmup + train + number * step + test - 1 + horizon < limit:  # the last label's end is a bar that exists
        start = warmup + train + number * step
        if start - train >= listed:
            begin = start - train if window == "rolling" else max(warmup, listed)
            expected.append((number, begin, start - validation, start, start + test))
        number += 1
    found = []
    for fold in plan["folds"]:
        assert fold["validation"] == ([fold["train"][1], fold["test"][0]] if validation else None)
        found.append((fold["fold"], *(folds.position(grid, each) for each in fold["train"] + fold["test"])))
    assert found == expected
    assert plan["rows"] == {"grid": n, "oof": len(expected) * test}
    if plan["folds"]:
        final = [folds.position(grid, plan["final"][key]) for key in ("start", "end")]
        floor = max(warmup, listed)
        assert final == [max(floor, limit - train) if window == "rolling" else floor, limit]


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(120, 400),
    horizon=st.integers(1, 20),
    validation=st.integers(0, 30),
    quarantined=st.sets(st.integers(0, 119), max_size=25),
    window=st.sampled_from(["rolling", "expanding"]),
)
def test_no_training_label_is_open_when_a_later_window_starts(n, horizon, validation, quarantined, window):
    grid = hours(n)
    own = {"train": 60, "validation": validation, "test": 12, "step": 12, "window": window, "horizon": horizon}
    plan = folds.plan(grid, **ETH | own)
    stamps = naive(grid.delete(sorted(quarantined)))
    t1 = ends(stamps, horizon)
    for fold in plan["folds"]:
        rows = folds.rows_of(fold, stamps, t1)
        opens = {name: np.datetime64(fold[name][0][:-1], "us") for name in ("test", "validation") if fold[name]}
        closes = {
            name: np.datetime64(fold[name][1][:-1], "us") for name in ("train", "test", "validation") if fold[name]
        }
        begin = np.datetime64(fold["train"][0][:-1], "us")
        first = opens.get("validation", opens["test"])
        brute = {"train": [], "validation": [], "test": []}
        for i, (stamp, end) in enumerate(zip(stamps, t1, strict=True)):
            if begin <= stamp < closes["train"] and end < first:
                brute["train"].append(i)
            if "validation" in opens and opens["validation"] <= stamp < closes["validation"] and end < opens["test"]:
                brute["validation"].append(i)
            if opens["test"] <= stamp < closes["test"]:
                brute["test"].append(i)
        assert {name: list(each) for name, each in rows.items()} == brute


@pytest.mark.parametrize(("train", "test", "horizon"), [(100, 20, 5), (64, 7, 24), (50, 50, 1)])
def test_rolling_folds_are_those_of_skfolio(train, test, horizon):
    from skfolio.model_selection import WalkForward

    n = 700
    grid = hours(n)
    plan = folds.plan(grid, **ETH | {"train": train, "validation": 0, "test": test, "step": test, "horizon": horizon})
    stamps = naive(grid)
    # skfolio purges between the windows, we purge the tail of the training window
    splitter = WalkForward(test_size=test, train_size=train - horizon, purged_size=horizon)
    theirs = list(splitter.split(np.zeros(n - horizon)))
    assert len(theirs) == len(plan["folds"]) > 5
    for fold, (their_train, their_test) in zip(plan["folds"], theirs, strict=True):
        rows = folds.rows_of(fold, stamps, ends(stamps, horizon))
        assert np.array_equal(rows["train"], their_train)
        assert np.array_equal(rows["test"], their_test)


@pytest.mark.parametrize("window", ["rolling", "expanding"])
def test_appended_bars_move_no_fold(window):
    before = folds.plan(hours(20000), **ETH | {"window": window})
    after = folds.plan(hours(20900), **ETH | {"window": window})
    assert after["folds"][: len(before["folds"])] == before["folds"]
    assert len(after["folds"]) == len(before["folds"]) + 9
    whole = [name for name, numbers in before["blocks"].items() if len(numbers) == ETH["per_job"]]
    assert all(after["blocks"][name] == before["blocks"][name] for name in whole)


def test_appended_bars_move_no_fold_where_the_calendar_has_gaps():
    grid = hours(20000)
    grid = grid[(grid.dayofweek < 5)]  # ends at a weekend, somewhere
    for cut in range(9000, 9200, 7):
        before, after = folds.plan(grid[:cut], **ETH), folds.plan(grid[: cut + 150], **ETH)
        assert after["folds"][: len(before["folds"])] == before["folds"]


def test_a_share_held_out_begins_with_a_period_and_keeps_labels_out():
    grid = hours(43824)
    plan = folds.plan(grid, **ETH | {"holdout": 0.15})
    start = pd.Timestamp(plan["holdout"]["start"])
    assert plan["holdout"] == {"start": "2025-04-01T00:00:00Z", "end": iso(grid[-1] + pd.Timedelta("1h"))}
    assert 0.15 <= (grid >= start).mean() < 0.15 + 2200 / 43824  # never less than asked for
    last = plan["folds"][-1]
    assert pd.Timestamp(last["test"][1]) + pd.Timedelta(hours=4) < start
    assert pd.Timestamp(last["test"][1]) + pd.Timedelta(hours=104) >= start  # and no further fold would fit
    assert plan["final"] == {"start": iso(start - pd.Timedelta(hours=8000)), "end": plan["holdout"]["start"]}


def test_never_less_is_held_out_than_asked_for():
    grid = hours(10, "2021-02-28T16:00")  # eight bars of February, two of March
    for share, start in ((0.2, "2021-03-01"), (0.21, "2021-02-01")):
        assert folds.hold_out(grid, share, "month", "1h")["start"].startswith(start)


@pytest.mark.parametrize(("partition", "start"), [("year", "2025-01"), ("quarter", "2025-01"), ("month", "2025-02")])
def test_a_hold_out_date_is_moved_down_to_its_period(partition, start):
    plan = folds.plan(hours(43824), **ETH | {"holdout": "2025-02-14", "partition": partition})
    assert plan["holdout"]["start"] == f"{start}-01T00:00:00Z"


def test_a_hold_out_after_the_last_bar_is_an_error():
    with pytest.raises(StudyError, match=r"2031-01-01 lies after the last bar"):
        folds.plan(hours(9000), **ETH | {"holdout": "2031-01-01"})


def test_a_target_that_was_listed_later_keeps_the_numbers_and_windows_of_the_others():
    grid = hours(20000)
    everyone = folds.plan(grid, **ETH)["folds"]
    late = folds.plan(grid, **ETH, first=iso(grid[1234]))
    assert late["folds"] == everyone[13:]
    assert late["blocks"]["b000"][0] == 13
    expanding = folds.plan(grid, **ETH | {"window": "expanding"}, first=iso(grid[1234]))
    assert {fold["train"][0] for fold in expanding["folds"]} == {iso(grid[1234])}


def test_a_window_of_one_class_is_named():
    with pytest.raises(StudyError, match="validation window of fold 3 has 4 rows that all have y = 1"):
        folds.require_both_classes(np.ones(9), np.arange(4), "the validation window of fold 3")
    with pytest.raises(StudyError, match="no row with a known label"):
        folds.require_both_classes(np.ones(9), np.arange(0), "the train window of fold 3")
    folds.require_both_classes(np.array([0, 1, 1]), np.arange(3), "the final window")
