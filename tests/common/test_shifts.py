"""The circular-shift test: every shift counted, no false alarms on noise with memory, power on a signal."""

import numpy as np
import pytest

from scripts.common.errors import StudyError
from scripts.common.statistics.auc import auc, interval
from scripts.common.statistics.shifts import shift_test
from tests.common import noise


@pytest.mark.parametrize("n, minimum, decimals", [(200, 10, 3), (211, 1, 0), (97, 30, 1)])
def test_all_shifts_by_brute_force(n, minimum, decimals):
    rng = np.random.default_rng(n)
    y, score = rng.integers(0, 2, n), np.round(rng.normal(size=n), decimals)
    null = np.array([auc(np.roll(y, shift), score) for shift in range(minimum, n - minimum + 1)])
    found = shift_test(y, score, minimum, at_least=50)
    assert found.shifts == len(null) and found.certifies == (len(null) >= 50)
    assert found.p == pytest.approx((1 + np.sum(null >= auc(y, score))) / (1 + len(null)), abs=1e-15)
    assert found.null_mean == pytest.approx(null.mean(), abs=1e-12)
    assert found.null_high == pytest.approx(np.quantile(null, 0.999), abs=1e-12)
    assert found.auc == auc(y, score)


def test_ties_count_against_the_score():
    y = np.tile([0, 1, 1, 0], 600)
    assert shift_test(y, np.tile([1.0, 2, 3, 0], 600), 4).p == pytest.approx(0.25, abs=0.001)
    assert shift_test(y, np.ones(2400), 4).p == 1.0


def test_ties_are_exact_for_lengths_that_no_transform_is_exact_for():
    rng = np.random.default_rng(0)
    y, score = np.tile([1, 0, 0, 1, 1, 0, 0], 331), np.tile(rng.normal(size=7), 331)
    for shift in range(7):
        observed = auc(np.roll(y, shift), score)
        reached = sum(auc(np.roll(y, other), score) >= observed for other in range(7))
        assert shift_test(np.roll(y, shift), score, 1).p == pytest.approx(reached / 7, abs=0.001)


def test_too_few_shifts_certify_nothing():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 2300)
    short = shift_test(y, y + 0.1 * rng.normal(size=2300), 250)
    assert (short.shifts, short.certifies) == (1801, False)
    assert shift_test(y, y + 0.1, 100).certifies
    none = shift_test(y[:300], y[:300] + 0.1, 250)
    assert (none.p, none.shifts, none.certifies) == (1.0, 0, False)
    with pytest.raises(StudyError, match="both classes"):
        shift_test(np.ones(100), np.arange(100), 1)


def test_p_is_uniform_on_noise_with_memory_where_a_test_that_counts_rows_raises_false_alarms():
    from scipy.stats import kstest

    p, alarms = [], 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        score = noise.persistent(rng, 3000, 0.98)
        y, _, _ = noise.overlapping(rng, 3000, 12)
        p.append(shift_test(y, score, 120).p)
        alarms += interval(y, score, len(y), level=0.9).low > 0.5  # one-sided 5 %
    assert kstest(p, "uniform").pvalue > 0.02
    assert np.mean(np.array(p) < 0.05) < 0.09
    assert alarms / 200 > 0.2


def test_a_signal_is_found_and_the_band_is_that_of_noise():
    rng = np.random.default_rng(1)
    score = noise.persistent(rng, 12000, 0.9)
    y, _, _ = noise.overlapping(rng, 12000, 5, drift=0.1 * score)
    found = shift_test(y, score, 250)
    assert found.auc > 0.55 and found.p < 0.001 and found.null_high < found.auc
    assert found.null_mean == pytest.approx(0.5, abs=0.005)
