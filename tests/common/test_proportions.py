"""Intervals of rows that come in groups, and the tests that compare two artifacts."""

import numpy as np
import pytest

from scripts.common.statistics import proportions
from scripts.common.statistics.intervals import wilson


def test_separate_rows_have_wilsons_interval():
    found = proportions.share([1] * 15 + [0] * 5, range(20))
    assert (found.value, found.n, found.groups, found.effective_n) == (0.75, 20, 20, 20)
    assert (found.low, found.high) == wilson(0.75, 20)


def test_copies_of_a_row_add_nothing():
    once = proportions.share([1] * 15 + [0] * 5, range(20))
    copied = proportions.share(([1] * 15 + [0] * 5) * 10, list(range(20)) * 10)
    assert copied.n == 200 and copied.effective_n < 20
    assert copied.low <= once.low and copied.high >= once.high


def test_groups_without_any_tie_cost_little():
    rng = np.random.default_rng(3)
    found = proportions.share(rng.random(400) < 0.5, np.repeat(np.arange(100), 4))
    assert 280 < found.effective_n <= 400


def test_one_group_and_no_rows_say_next_to_nothing():
    assert proportions.share([1] * 50, ["a"] * 50).effective_n == 1
    assert proportions.share([1] * 50, ["a"] * 50).low < 0.3
    assert proportions.share([], [])[-2:] == (0.0, 1.0)


@pytest.mark.parametrize(("groups", "rows"), [(8, 13), (15, 8), (24, 8)])
def test_groups_that_are_right_or_wrong_as_a_whole_count_as_one_row_each(groups, rows):
    """Also where none of them is right: a rare hit is then not seen at all."""
    rng, names = np.random.default_rng(1), np.repeat(np.arange(groups), rows)
    found = [proportions.share(np.repeat(rng.random(groups) < 0.1, rows), names) for _ in range(400)]
    assert any(each.value == 0 for each in found)
    assert np.mean([each.low <= 0.1 <= each.high for each in found]) >= 0.93


def test_all_right_is_worth_the_groups():
    found = proportions.share([1] * 120, np.repeat(np.arange(15), 8))
    assert (found.value, found.high) == (1, 1) and 12 < found.effective_n < 15
    none = proportions.share([0] * 120, np.repeat(np.arange(15), 8))
    assert none.low == 0 and none.high == pytest.approx(1 - found.low)


@pytest.mark.parametrize("n", range(2, 60))
def test_nothing_and_all_end_at_0_and_1(n):
    assert wilson(0, n)[0] == 0.0 and wilson(1, n)[1] == 1.0


@pytest.mark.parametrize(("groups", "rows"), [(4, 30), (8, 12), (40, 3)])
def test_intervals_hold_the_truth_as_often_as_they_say(groups, rows):
    rng, covered = np.random.default_rng(11), {"share": 0, "mean": 0}
    for _ in range(200):
        truth = np.repeat(rng.beta(3, 7, groups), rows)
        hits, names = rng.random(groups * rows) < truth, np.repeat(np.arange(groups), rows)
        share, mean = proportions.share(hits, names), proportions.mean(hits, names, 7)
        covered["share"] += share.low <= 0.3 <= share.high
        covered["mean"] += mean.low <= 0.3 <= mean.high
    assert min(covered.values()) >= 0.9 * 200


def test_few_groups_get_students_interval():
    found = proportions.mean([0.1, 0.2, 0.3, 0.4] * 5, [0, 1, 2, 3] * 5, 7)
    # 3.182 is Student's t of 3 degrees of freedom, 0.0645 the standard error of the four
    assert (found.low, found.high) == pytest.approx((0.25 - 3.182 * 0.06455, 0.25 + 3.182 * 0.06455), abs=1e-3)


def test_a_weighted_mean_is_the_ratio_of_sums_and_its_seed_repeats_it():
    values, weights, groups = np.arange(30.0), np.arange(1.0, 31), list(range(15)) * 2
    found = proportions.mean(values, groups, 7, weights)
    assert found.value == pytest.approx((values * weights).sum() / weights.sum())
    assert found.low < found.value < found.high
    assert found == proportions.mean(values, groups, 7, weights)
    assert found != proportions.mean(values, groups, 8, weights)


def test_rows_of_one_group_have_no_interval():
    assert proportions.mean([1.0, 2.0], ["a", "a"], 7)[-2:] == (None, None)
    assert proportions.difference_p([1.0, 2.0], ["a", "a"]) is None


@pytest.mark.parametrize("groups", [2, 5, 30])
def test_differences_that_are_all_equal_prove_no_more_than_their_number(groups):
    found = proportions.mean([-1.0] * groups, range(groups), 7)
    assert (found.value, found.low, found.high) == (-1, None, None)
    assert proportions.difference_p([-1.0] * groups, range(groups)) == pytest.approx(0.5 ** (groups - 1))
    assert proportions.mean([0.0] * groups, range(groups), 7)[-2:] == (0, 0)


def test_the_p_of_a_difference_is_students():
    differences = np.array([0.3, -0.1, 0.4, 0.2, 0.1, 0.5])
    error = differences.std(ddof=1) / np.sqrt(6)
    t = differences.mean() / error  # 2.65 with 5 degrees of freedom: p = 0.0455
    assert t == pytest.approx(2.6458, abs=1e-3)
    assert proportions.difference_p(differences, range(6)) == pytest.approx(0.0456, abs=2e-4)
    assert proportions.difference_p(np.tile(differences, 5), list(range(6)) * 5) == pytest.approx(0.0456, abs=2e-4)
    assert proportions.difference_p([0.0, 0.0, 0.0], range(3)) == 1.0


def test_mcnemar_is_the_exact_binomial():
    assert proportions.mcnemar(10, 2) == pytest.approx(2 * 79 / 4096)
    assert proportions.mcnemar(2, 10) == proportions.mcnemar(10, 2)
    assert proportions.mcnemar(0, 0) == proportions.mcnemar(4, 4) == 1.0


def test_holm_multiplies_by_what_is_left_and_never_falls():
    assert proportions.holm([0.01, 0.04, None, 0.03]) == pytest.approx([0.03, 0.06, None, 0.06], nan_ok=False)
    assert proportions.holm([0.9, 0.8]) == [1.0, 1.0]


def test_no_error_in_n_allows_about_three_in_n():
    assert proportions.error_bound(300) == pytest.approx(3 / 300, rel=0.01)
    assert proportions.error_bound(0) == 1.0


def test_rows_without_a_group_are_an_error():
    with pytest.raises(ValueError, match="3 rows but groups of 2"):
        proportions.mean([1, 2, 3], ["a", "b"], 7)
