import warnings

import numpy as np
import pytest
from scipy.stats import spearmanr

from scripts.common.errors import StudyError
from scripts.market.measures import factors


@pytest.fixture
def rng():
    return np.random.default_rng(21)


@pytest.fixture
def panel(rng):
    """Scores with ties and returns that they know something of, a tenth of either unknown."""
    scores = rng.integers(0, 12, (60, 40)).astype(float)
    earned = 0.05 * scores + rng.standard_normal((60, 40))
    scores[rng.random(scores.shape) < 0.1] = np.nan
    earned[rng.random(earned.shape) < 0.1] = np.nan
    return scores, earned


def test_rank_ic_equals_spearman_of_scipy(panel):
    scores, earned = panel
    known = ~(np.isnan(scores) | np.isnan(earned))
    expected = [spearmanr(s[k], r[k]).statistic for s, r, k in zip(scores, earned, known, strict=True)]
    np.testing.assert_allclose(factors.rank_ic(scores, earned), expected, rtol=1e-12)
    assert factors.rank_ic(scores[3], earned[3]) == pytest.approx(expected[3], rel=1e-12)


def test_rank_ic_of_a_monotone_relation_is_one():
    assert factors.rank_ic([1, 2, 3, 4], [0.1, 0.2, 5, 6]) == pytest.approx(1)
    assert factors.rank_ic([1, 2, 3, 4], [4, 3, 2, -9]) == pytest.approx(-1)


def test_rank_ic_is_unknown_for_too_few_symbols_and_for_constants():
    assert np.isnan(factors.rank_ic([1, 2, np.nan], [1, 2, 3]))
    assert np.isnan(factors.rank_ic([1, 1, 1, 1], [1, 2, 3, 4]))
    assert np.isnan(factors.rank_ic([np.nan] * 4, [1, 2, 3, 4]))


def test_ic_decay_pairs_a_score_with_one_bar_so_many_bars_later(rng):
    earned = rng.standard_normal((300, 50))
    scores = np.full_like(earned, np.nan)
    scores[:-2] = earned[2:]  # the score of row t knows the return of row t + 2: that of lag 3
    decay = factors.ic_decay(scores, earned, lags=(1, 2, 3, 5))
    assert decay.ic[2] == pytest.approx(1)
    np.testing.assert_allclose(decay.ic[[0, 1, 3]], 0, atol=4 / np.sqrt(300 * 49))
    np.testing.assert_allclose(decay.standard_error[[0, 1, 3]], 1 / np.sqrt(49 * 298), rtol=0.25)


def test_ic_decay_halves_as_fast_as_the_knowledge_does(rng):
    """A signal with AR(1) coefficient 0.9 behind each return: IC(k) is near IC(1) 0.9^(k - 1), halved at lag 7.58."""
    signal = np.zeros((1500, 80))
    for t in range(1, len(signal)):
        signal[t] = 0.9 * signal[t - 1] + rng.standard_normal(80)
    earned = 0.2 * signal + rng.standard_normal(signal.shape)
    decay = factors.ic_decay(signal, earned, lags=range(1, 16))
    np.testing.assert_allclose(decay.ic / decay.ic[0], 0.9 ** np.arange(15), atol=0.03)
    assert decay.half_life == pytest.approx(1 + np.log(0.5) / np.log(0.9), abs=0.6)


def test_half_life_of_an_ic_that_does_not_halve_is_unknown(rng):
    scores = np.broadcast_to(rng.standard_normal(30), (50, 30))
    assert np.isnan(factors.ic_decay(scores, scores, lags=(1, 2, 4)).half_life)


def test_turnover_by_hand():
    weights = [[0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [np.nan, 0.0, 1.0]]
    np.testing.assert_allclose(factors.turnover(weights), [np.nan, 0.5, 0.5])
    assert factors.turnover([[1.0, 0.0], [0.0, 1.0]])[1] == 1


def test_turnover_counts_from_what_the_returns_made_of_the_weights():
    weights = np.full((3, 2), 0.5)
    returns = [[1.0, 0.0], [0.0, np.nan], [9.0, 9.0]]
    np.testing.assert_allclose(factors.turnover(weights, returns), [np.nan, 1 / 6, 0])


@pytest.mark.parametrize("phi", [0.5, 0.9, 0.97])
def test_half_life_of_an_autoregression(rng, phi):
    from scipy.signal import lfilter

    n = 50_000
    values = 5 + lfilter([1], [1, -phi], rng.standard_normal(n))
    error = np.sqrt((1 - phi**2) / n)  # of the slope; the half-life moves by its derivative
    slack = 4 * error * np.log(2) / (phi * np.log(phi) ** 2)
    assert factors.half_life(values) == pytest.approx(np.log(0.5) / np.log(phi), abs=slack)


def test_half_life_without_reversion_and_without_memory():
    assert factors.half_life(1.1 ** np.arange(30)) == np.inf
    assert factors.half_life((-1.0) ** np.arange(30)) == 0
    assert np.isnan(factors.half_life(np.full(30, 0.1)))


def test_a_deterministic_decay_has_its_own_half_life():
    assert factors.half_life(0.5 ** (np.arange(40) / 7)) == pytest.approx(7)


def test_neutralized_scores_have_no_exposure_left(rng):
    groups = np.array(list("aaabbbbccccccddddddd"))
    size = rng.standard_normal(20) * 1e9 + 1e11
    beta = rng.standard_normal((6, 20))
    exposures = np.stack([np.broadcast_to(size, beta.shape), beta], axis=2)
    scores = rng.standard_normal((6, 20)) + 3e-11 * size + beta
    scores[2, 4] = np.nan
    left = factors.neutralize(scores, exposures, groups)
    np.testing.assert_array_equal(np.isnan(left), np.isnan(scores))
    for row in range(6):
        known = ~np.isnan(left[row])
        for exposure in (size[known], beta[row, known]):
            assert abs(np.corrcoef(left[row, known], exposure)[0, 1]) < 1e-9
        for group in "abcd":
            assert left[row, known & (groups == group)].mean() == pytest.approx(0, abs=1e-12)


def test_neutralize_equals_least_squares(rng):
    exposures, score = rng.standard_normal((30, 3)), rng.standard_normal(30)
    design = np.column_stack([np.ones(30), exposures])
    expected = score - design @ np.linalg.lstsq(design, score)[0]
    np.testing.assert_allclose(factors.neutralize(score, exposures), expected, atol=1e-12)
    doubled = np.column_stack([exposures, exposures[:, 0], np.full(30, 0.1)])  # collinear and constant columns
    np.testing.assert_allclose(factors.neutralize(score, doubled), expected, atol=1e-9)


def test_a_group_alone_takes_out_its_mean():
    left = factors.neutralize([1.0, 3.0, 10.0, 20.0, 30.0], groups=["x", "x", "y", "y", "y"])
    np.testing.assert_allclose(left, [-1, 1, -10, 0, 10], atol=1e-12)


def test_a_row_with_as_many_regressors_as_symbols_is_unknown():
    scores = [[1.0, 2.0, 3.0, 5.0], [1.0, 2.0, np.nan, np.nan], [np.nan] * 4]
    left = factors.neutralize(scores, [1.0, 2.0, 4.0, 3.0])
    np.testing.assert_array_equal(np.isnan(left).all(axis=1), [False, True, True])


def test_winsorize_mad_by_hand():
    """Median 3, distances 2 1 0 1 97, their median 1: the limits are 3 minus and plus 2 x 1.4826."""
    np.testing.assert_allclose(factors.winsorize_mad([1, 2, 3, 4, 100], n=2), [1, 2, 3, 4, 5.9652])
    np.testing.assert_allclose(factors.winsorize_mad([1, 2, 3, 4, 100], n=1), [1.5174, 2, 3, 4, 4.4826])


def test_winsorize_mad_takes_each_row_by_itself_and_keeps_unknowns():
    rows = np.array([[1, 2, 3, 4, 100], [np.nan, 10, 20, 30, np.nan], [5, 5, 5, 5, 9], [np.nan] * 5])
    np.testing.assert_allclose(
        factors.winsorize_mad(rows, n=0.5),
        [[2.2587, 2.2587, 3, 3.7413, 3.7413], [np.nan, 12.587, 20, 27.413, np.nan], [5, 5, 5, 5, 9], [np.nan] * 5],
    )
    assert rows[0, 4] == 100


def test_three_robust_deviations_are_three_standard_deviations_of_a_normal_sample(rng):
    sample = rng.standard_normal(200_000)
    assert factors.winsorize_mad(sample).max() == pytest.approx(3, abs=0.02)


def test_quantile_spread_by_hand():
    scores, earned = [3, 1, 2, 5, 4, 6], [0.03, 0.01, 0.02, 0.05, 0.04, 0.12]
    assert factors.quantile_spread(scores, earned, 3) == pytest.approx((0.05 + 0.12) / 2 - (0.01 + 0.02) / 2)
    assert factors.quantile_spread(scores, earned, 5) == pytest.approx(0.12 - 0.01)  # 6 / 5: one symbol each
    assert np.isnan(factors.quantile_spread(scores, earned, 7))
    assert np.isnan(factors.quantile_spread([1] * 6, earned, 3))


def test_quantile_spread_equals_sorting(panel):
    scores, earned = panel
    scores = scores + np.linspace(0, 0.5, 40)  # no ties
    ours = factors.quantile_spread(scores, earned, 5)
    for row in range(len(scores)):
        known = ~(np.isnan(scores[row]) | np.isnan(earned[row]))
        ordered = earned[row, known][np.argsort(scores[row, known])]
        k = len(ordered) // 5
        assert ours[row] == pytest.approx(ordered[-k:].mean() - ordered[:k].mean(), rel=1e-9)


def test_rows_of_unknowns_raise_no_warnings():
    unknown = np.full((2, 5), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for result in (
            factors.rank_ic(unknown, unknown),
            factors.quantile_spread(unknown, unknown),
            factors.winsorize_mad(unknown),
            factors.neutralize(unknown, groups=list("aabbb")),
            factors.ic_decay(unknown, unknown, lags=(1,)).ic,
        ):
            assert np.isnan(result).all()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: factors.rank_ic(np.ones((2, 3)), np.ones(3)), "one shape"),
        (lambda: factors.rank_ic([1, np.inf, 2], [1, 2, 3]), "infinite"),
        (lambda: factors.ic_decay(np.ones((5, 3)), np.ones((5, 3)), lags=(1, 5)), "too few for a lag of 5"),
        (lambda: factors.ic_decay(np.ones((5, 3)), np.ones((5, 3)), lags=(2, 1)), "rising"),
        (lambda: factors.turnover([1.0, 0.0]), "rows, symbols"),
        (lambda: factors.half_life(np.arange(9.0)), "too few"),
        (lambda: factors.neutralize([1.0, 2.0]), "nothing to take out"),
        (lambda: factors.neutralize([1.0, 2.0], groups=["a"]), "2 symbols"),
        (lambda: factors.neutralize([1.0, 2.0], groups=["a", None]), "known label"),
        (lambda: factors.neutralize([1.0, 2.0], np.ones((3, 1))), "exposures"),
        (lambda: factors.winsorize_mad([1.0], n=0), "above 0"),
        (lambda: factors.quantile_spread([1.0], [1.0], 1), "quantiles"),
    ],
)
def test_what_cannot_work_is_refused(call, says):
    with pytest.raises(StudyError, match=says):
        call()
