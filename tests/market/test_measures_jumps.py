import numpy as np
import pytest
from scipy.stats import norm

from scripts.common.errors import StudyError
from scripts.market.measures import jumps

C = np.sqrt(2 / np.pi)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def test_realized_and_bipower_variation_by_hand():
    returns = [0.01, -0.02, 0.03]
    assert jumps.realized_variance(returns) == pytest.approx(0.0014)
    assert jumps.bipower_variation(returns) == pytest.approx(np.pi / 2 * 3 / 2 * (0.0002 + 0.0006))


@pytest.mark.parametrize("n", [5, 78])
def test_both_equal_the_integrated_variance_of_brownian_motion(rng, n):
    """Exactly in expectation, also when volatility changes from day to day: 4 standard errors are allowed."""
    sigma = rng.uniform(0.5, 1.5, (20_000, 1))
    days = rng.standard_normal((20_000, n)) * sigma / np.sqrt(n)
    for measure in (jumps.realized_variance, jumps.bipower_variation):
        ratio = measure(days) / sigma[:, 0] ** 2
        assert ratio.mean() == pytest.approx(1, abs=4 * ratio.std() / np.sqrt(len(ratio)))


def test_a_jump_is_in_the_realized_variance_and_not_in_the_bipower_variation(rng):
    n = 5000
    returns = rng.standard_normal(n) * 0.01 / np.sqrt(n)
    returns[1234] += 0.02
    assert jumps.realized_variance(returns) == pytest.approx(0.01**2 + 0.02**2, rel=0.1)
    assert jumps.bipower_variation(returns) == pytest.approx(0.01**2, rel=0.15)


def test_days_are_measured_as_if_alone(rng):
    days = rng.standard_normal((2, 3, 50))
    whole = jumps.barndorff_nielsen_shephard(days)
    alone = jumps.barndorff_nielsen_shephard(days[1, 2])
    assert whole.statistic.shape == (2, 3)
    assert isinstance(alone.statistic, float)
    assert whole.statistic[1, 2] == pytest.approx(alone.statistic, rel=1e-12)
    assert whole.share[1, 2] == pytest.approx(alone.share, abs=1e-12)


def test_the_statistic_is_standard_normal_without_jumps(rng):
    days = 2000
    z = jumps.barndorff_nielsen_shephard(rng.standard_normal((days, 1500))).statistic
    assert z.mean() == pytest.approx(0, abs=4 / np.sqrt(days))
    assert z.std() == pytest.approx(1, abs=4 / np.sqrt(2 * days))
    for level in (0.05, 0.5):
        error = np.sqrt(level * (1 - level) / days)
        assert np.mean(z > norm.isf(level)) == pytest.approx(level, abs=4 * error)


def test_a_day_with_a_jump_is_told_from_days_without(rng):
    returns = rng.standard_normal((10, 288)) * 0.0005
    returns[:, 100] += 0.01
    result = jumps.barndorff_nielsen_shephard(returns)
    assert (result.p_value < 1e-4).all()
    # The bipower variation keeps the jump's products with its two neighbours, whose mean is C * 0.0005.
    diffusion, neighbours = 288 * 0.0005**2, np.pi / 2 * 0.01 * 2 * C * 0.0005
    assert result.share.mean() == pytest.approx(1 - (diffusion + neighbours) / (diffusion + 0.01**2), abs=0.04)
    np.testing.assert_allclose(result.p_value, norm.sf(result.statistic), rtol=1e-9)


def test_the_statistic_follows_its_formula_term_by_term(rng):
    r = rng.standard_normal(200) * np.linspace(0.1, 1, 200) ** 2  # a volatility that changes: the maximum counts
    n, mu1, mu43 = 200, C, np.mean(np.abs(norm.ppf((np.arange(2_000_000) + 0.5) / 2_000_000)) ** (4 / 3))
    rv = sum(x * x for x in r)
    bv = mu1**-2 * n / (n - 1) * sum(abs(r[i] * r[i - 1]) for i in range(1, n))
    tq = n * mu43**-3 * n / (n - 2) * sum(abs(r[i] * r[i - 1] * r[i - 2]) ** (4 / 3) for i in range(2, n))
    assert tq > 1.2 * bv**2
    z = (rv - bv) / rv / np.sqrt((mu1**-4 + 2 * mu1**-2 - 5) / n * max(1, tq / bv**2))
    assert jumps.barndorff_nielsen_shephard(r).statistic == pytest.approx(z, rel=1e-4)


def test_a_day_without_bipower_variation_is_unknown():
    result = jumps.barndorff_nielsen_shephard([[0.0, 0.0, 0.01, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert np.isnan(result.statistic).all() and np.isnan(result.share).all()


def test_lee_mykland_finds_the_planted_jump_and_nothing_else(rng):
    returns = rng.standard_normal(1500) * 0.001
    returns[1000] -= 0.012
    result = jumps.lee_mykland(returns, window=270, level=0.01)
    assert list(np.flatnonzero(result.jump)) == [1000]
    assert result.statistic[1000] < -result.threshold
    assert result.p_value[1000] < 1e-6


def test_lee_mykland_equals_its_definition_bar_by_bar(rng):
    r, K = rng.standard_t(4, 120), 16
    result = jumps.lee_mykland(r, K, level=0.05)
    assert np.isnan(result.statistic[: K - 1]).all() and not result.jump[: K - 1].any()
    n = len(r) - K + 1
    root = np.sqrt(2 * np.log(n))
    scale = 1 / (C * root)
    center = root / C - (np.log(np.pi) + np.log(np.log(n))) / (2 * C * root)
    for i in range(K - 1, len(r)):
        sigma = np.sqrt(sum(abs(r[j]) * abs(r[j - 1]) for j in range(i - K + 2, i)) / (K - 2))
        L = r[i] / sigma
        xi = (abs(L) - center) / scale
        assert result.statistic[i] == pytest.approx(L, rel=1e-12)
        assert result.p_value[i] == pytest.approx(1 - np.exp(-np.exp(-xi)), rel=1e-6)
        assert result.jump[i] == (np.exp(-np.exp(-xi)) > 0.95)


def test_lee_mykland_raises_false_alarms_at_about_its_level(rng):
    """Near 0.05 with a long window; the threshold itself is right to what the largest of n normals allows."""
    runs, n, window, level = 400, 1500, 500, 0.05
    results = [jumps.lee_mykland(rng.standard_normal(n), window, level) for _ in range(runs)]
    rate = np.mean([result.jump.any() for result in results])
    assert rate == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / runs))
    exact = 1 - (2 * norm.cdf(results[0].threshold * C) - 1) ** (n - window + 1)
    assert exact == pytest.approx(level, rel=0.25)


def test_a_row_of_lee_mykland_depends_on_no_later_return(rng):
    returns = rng.standard_normal(300)
    whole, part = jumps.lee_mykland(returns, 30), jumps.lee_mykland(returns[:200], 30)
    np.testing.assert_array_equal(whole.statistic[:200], part.statistic)


def test_bars_after_a_standstill_are_unknown(rng):
    returns = rng.standard_normal(100)
    returns[40:70] = 0
    result = jumps.lee_mykland(returns, 20)
    assert np.isnan(result.statistic[60:71]).all() and not result.jump[60:71].any()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: jumps.realized_variance([]), "at least 1"),
        (lambda: jumps.barndorff_nielsen_shephard([0.1, 0.2]), "at least 3"),
        (lambda: jumps.bipower_variation([0.1, np.nan]), "1 of 2 values are not finite"),
        (lambda: jumps.lee_mykland(np.ones(20), 3), "window"),
        (lambda: jumps.lee_mykland(np.ones(20), 19), "too few"),
        (lambda: jumps.lee_mykland(np.ones(20), 10, level=1), "level"),
    ],
)
def test_what_cannot_work_is_refused(call, says):
    with pytest.raises(StudyError, match=says):
        call()
