import numpy as np
import pytest

from scripts.common.statistics.calibration import brier, calibration_error, reliability


def draw(n=20000, sharpen=1.0):
    rng = np.random.default_rng(0)
    margin = 0.3 * rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(-margin))).astype(np.int8)
    return y, 1 / (1 + np.exp(-sharpen * margin))


def test_honest_probabilities_lie_in_their_bins_intervals_and_boastful_ones_do_not():
    y, p = draw()
    bins = reliability(y, p, effective_n=len(y))
    assert [each["rows"] for each in bins] == [2000] * 10
    assert sum(each["low"] <= each["mean_p"] <= each["high"] for each in bins) >= 9
    assert calibration_error(bins) < 0.015
    y, p = draw(sharpen=4)
    bins = reliability(y, p, effective_n=len(y))
    assert bins[0]["mean_p"] < bins[0]["low"] and bins[-1]["mean_p"] > bins[-1]["high"]
    assert calibration_error(bins) > 0.1


def test_bins_hold_the_definition():
    y, p = np.array([0, 1, 1, 1]), np.array([0.2, 0.2, 0.7, 0.9])
    low, high = reliability(y, p, effective_n=2, bins=2)
    assert (low["rows"], low["mean_p"], low["share"]) == (2, pytest.approx(0.2), 0.5)
    assert (high["rows"], high["mean_p"], high["share"]) == (2, pytest.approx(0.8), 1.0)
    assert calibration_error([low, high]) == pytest.approx((2 * 0.3 + 2 * 0.2) / 4)
    assert len(reliability(y, np.full(4, 0.5), effective_n=4)) == 1


def test_brier_is_that_of_scikit_learn():
    from sklearn.metrics import brier_score_loss

    y, p = draw(500)
    assert brier(y, p) == pytest.approx(brier_score_loss(y, p), abs=1e-12)
