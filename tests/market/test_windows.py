import numpy as np
import pandas as pd
import pytest

from scripts.market import windows

ROWS = 1000


@pytest.fixture
def values():
    rng = np.random.default_rng(3)
    series = 1e5 + rng.standard_normal(ROWS)
    series[rng.choice(ROWS, 100, replace=False)] = np.nan
    return series


@pytest.mark.parametrize("n", [1, 2, 3, 20, 64, 71, 168])
def test_statistics_equal_those_of_pandas(values, n):
    rolling, least = pd.Series(values).rolling(n, min_periods=max(n // 2, 1)), max(n // 2, 1)
    np.testing.assert_allclose(windows.total(values, n, least), rolling.sum(), rtol=1e-13)
    np.testing.assert_allclose(windows.mean(values, n, least), rolling.mean(), rtol=1e-13)
    if n > 1:
        least = max(least, 2)
        expected = pd.Series(values).rolling(n, min_periods=least).std()
        np.testing.assert_allclose(windows.deviation(values, n, least), expected, rtol=1e-6)


def test_moments_stay_accurate_far_from_zero(values):
    known = values[~np.isnan(values)]
    exact = [np.std(known[t - 19 : t + 1] - 1e5, ddof=1) for t in range(19, len(known))]
    np.testing.assert_allclose(windows.deviation(known, 20)[19:], exact, rtol=1e-9)


def test_correlation_leaves_out_rows_in_which_either_is_unknown(values):
    other = 0.5 * values + np.random.default_rng(4).standard_normal(ROWS)
    other[::17] = np.nan
    ours = windows.correlation(values, other, 72, least=36)
    for t in (71, 500, 999):
        pair = pd.DataFrame({"a": values, "b": other})[t - 71 : t + 1].dropna()
        assert ours[t] == pytest.approx(pair.a.corr(pair.b), rel=1e-9)


def test_correlation_with_a_constant_is_unknown():
    assert np.isnan(windows.correlation(np.ones(50), np.arange(50.0), 10)).all()


@pytest.mark.parametrize("n", [1, 5, 32, 33])
def test_extremes_need_every_row_of_the_window(values, n):
    rolling = pd.Series(values).rolling(n)
    np.testing.assert_array_equal(windows.highest(values, n), rolling.max())
    np.testing.assert_array_equal(windows.lowest(values, n), rolling.min())


def test_equal_values_have_a_deviation_of_exactly_zero():
    assert (windows.deviation(np.full(300, 0.1), 168)[167:] == 0).all()


def test_windows_longer_than_the_series_are_unknown():
    assert np.isnan(windows.mean(np.arange(5.0), 6)).all()
    assert np.isnan(windows.lowest(np.arange(5.0), 6)).all()
    assert len(windows.total(np.empty(0), 4)) == 0


def test_z_score_of_a_window_without_spread_is_unknown_not_infinite():
    assert np.isnan(windows.z_score(np.full(50, 2.0), 20)).all()


def test_mean_distance_is_taken_from_the_centre_of_the_last_row():
    values = np.array([1.0, 2.0, 6.0, 7.0])
    centre = windows.mean(values, 3)
    np.testing.assert_allclose(windows.mean_distance(values, centre, 3), [np.nan, np.nan, 2.0, 2.0])


@pytest.mark.parametrize("cut", [1, 7, 333])
@pytest.mark.parametrize("statistic", [windows.total, windows.mean, windows.deviation, windows.z_score])
def test_a_window_has_the_same_bits_wherever_the_series_begins(values, statistic, cut):
    whole, part = statistic(values, 168, 100), statistic(values[cut:], 168, 100)
    np.testing.assert_array_equal(whole[cut + 167 :], part[167:])
