import numpy as np
import pytest
from scipy.stats import kurtosis, norm, skew

from scripts.common.errors import StudyError
from scripts.market.measures import risk

RETURNS = [0.02, -0.01, 0.03, 0.0]


@pytest.fixture
def rng():
    return np.random.default_rng(41)


def test_sharpe_by_hand():
    """Mean 0.01, squared distances 1, 4, 4, 1 ten-thousandths: s is sqrt(0.001 / 3)."""
    assert risk.sharpe(RETURNS) == pytest.approx(0.01 / np.sqrt(0.001 / 3))
    assert risk.sharpe(RETURNS, risk_free=0.01) == pytest.approx(0)
    assert risk.sharpe(RETURNS, periods=252) == pytest.approx(np.sqrt(252) * risk.sharpe(RETURNS))
    assert risk.sharpe(RETURNS, risk_free=[0.02, 0, 0, 0]) == risk.sharpe([0.0, -0.01, 0.03, 0.0])


def test_sortino_by_hand():
    assert risk.sortino(RETURNS) == pytest.approx(0.01 / np.sqrt(0.0001 / 4))
    assert risk.sortino(RETURNS, target=0.01, periods=4) == pytest.approx(0)
    assert risk.sortino(RETURNS, target=0.02) == pytest.approx(-0.01 / np.sqrt((0.03**2 + 0.02**2) / 4))


def test_treynor_by_hand_and_of_the_market_itself():
    market = np.array([0.01, -0.02, 0.03, 0.01])
    returns = 0.002 + 1.5 * market
    assert risk.treynor(returns, market) == pytest.approx(returns.mean() / 1.5)
    assert risk.treynor(market, market, risk_free=0.001, periods=12) == pytest.approx(12 * (market.mean() - 0.001))
    assert np.isnan(risk.treynor(returns, np.full(4, 0.1)))


def test_information_ratio_is_the_sharpe_ratio_of_the_active_return(rng):
    returns, benchmark = rng.standard_normal((2, 100)) * 0.01
    active = returns - benchmark
    expected = active.mean() / active.std(ddof=1) * np.sqrt(52)
    assert risk.information_ratio(returns, benchmark, periods=52) == pytest.approx(expected)


def test_max_drawdown_by_hand():
    assert risk.max_drawdown([100, 120, 90, 110, 60, 130, 125]) == risk.Drawdown(0.5, 1, 4, 5)
    assert risk.max_drawdown([100, 80, 90]) == risk.Drawdown(pytest.approx(0.2), 0, 1, None)
    assert risk.max_drawdown([1, 2, 3]) == risk.Drawdown(0.0, 0, 0, 0)


def test_max_drawdown_equals_the_worst_of_all_pairs(rng):
    equity = np.exp(np.cumsum(rng.standard_normal(200) * 0.05))
    falls = 1 - equity[None, :] / equity[:, None]
    assert risk.max_drawdown(equity).depth == pytest.approx(np.triu(falls).max())


def test_calmar_by_hand():
    """1.1 * 0.8 * 1.25 is 1.1 over 3 of 12 bars; the fall is 20 %, from the top after the first bar."""
    assert risk.calmar([0.1, -0.2, 0.25], periods=12) == pytest.approx((1.1**4 - 1) / 0.2)
    assert risk.calmar([-0.2, 0.1]) == pytest.approx((0.88**0.5 - 1) / 0.2)
    assert np.isnan(risk.calmar([0.1, 0.1]))


def test_omega_ratio_by_hand():
    assert risk.omega_ratio(RETURNS) == pytest.approx(5)
    assert risk.omega_ratio(RETURNS, threshold=0.01) == pytest.approx(1)


def test_ratios_of_constant_returns_are_unknown():
    constant = np.full(7, 0.1)
    for measure in (risk.sharpe, risk.sortino, risk.omega_ratio, risk.probabilistic_sharpe):
        assert np.isnan(measure(constant))


def test_historical_tail_by_hand():
    """Losses 1 to 10 percent, equally often."""
    returns = -np.arange(1, 11) / 100
    assert risk.value_at_risk(returns, 0.9) == pytest.approx(0.09)
    assert risk.value_at_risk(returns, 0.85) == pytest.approx(0.09)
    assert risk.value_at_risk(returns, 0.91) == pytest.approx(0.10)
    assert risk.expected_shortfall(returns, 0.8) == pytest.approx(0.095)
    assert risk.expected_shortfall(returns, 0.85) == pytest.approx((0.10 + 0.09 / 2) / 1.5)
    assert risk.expected_shortfall(returns, 0.99) == pytest.approx(0.10)


def test_the_rank_of_a_level_is_not_moved_by_rounding():
    """0.29 * 100 and the like come out a hair above or below a whole number."""
    returns = -np.arange(1, 101.0)
    for percent in range(1, 100):
        assert risk.value_at_risk(returns, percent / 100) == percent


def test_the_expected_shortfall_minimizes_the_formula_of_rockafellar_and_uryasev(rng):
    returns = rng.standard_t(3, 333)
    for level in (0.9, 0.95, 0.975):
        bound = -returns
        values = [c + np.maximum(-returns - c, 0).mean() / (1 - level) for c in bound]
        assert risk.expected_shortfall(returns, level) == pytest.approx(min(values), rel=1e-12)


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_the_tail_of_a_normal_sample_is_that_of_the_closed_form(rng, level):
    mu, sigma, n = 0.001, 0.02, 200_000
    returns = mu + sigma * rng.standard_normal(n)
    z = norm.ppf(level)
    var, shortfall = -mu + sigma * z, -mu + sigma * norm.pdf(z) / (1 - level)
    for method in ("historical", "normal"):
        # 4 standard errors: of a quantile, sqrt(a (1 - a) / n) over the density, and somewhat more for the mean beyond.
        slack = 4 * sigma * np.sqrt(level * (1 - level) / n) / norm.pdf(z)
        assert risk.value_at_risk(returns, level, method) == pytest.approx(var, abs=slack)
        assert risk.expected_shortfall(returns, level, method) == pytest.approx(shortfall, abs=1.5 * slack)
    assert risk.value_at_risk(returns, level, "cornish_fisher") == pytest.approx(var, abs=2 * slack)


def test_cornish_fisher_moves_the_quantile_toward_that_of_a_skewed_law(rng):
    """Losses are a gamma with shape 16, less its mean: skewness 0.5, excess kurtosis 0.375."""
    from scipy.stats import gamma

    returns = -(rng.gamma(16, 1, 400_000) - 16)
    exact = gamma(16).ppf(0.99) - 16
    normal, expanded = (risk.value_at_risk(returns, 0.99, method) for method in ("normal", "cornish_fisher"))
    assert abs(expanded - exact) < 0.1 * abs(normal - exact)


@pytest.mark.parametrize(("p", "gain", "loss"), [(0.6, 1.0, 1.0), (0.55, 2.0, 1.0), (0.7, 0.5, 0.8)])
def test_the_kelly_fraction_maximizes_growth(p, gain, loss):
    from scipy.optimize import minimize_scalar

    def shrink(share):
        return -(p * np.log1p(gain * share) + (1 - p) * np.log1p(-loss * share))

    best = minimize_scalar(shrink, bounds=(0, 0.999 / loss), method="bounded", options={"xatol": 1e-9})
    assert risk.kelly_fraction(p, gain, loss) == pytest.approx(best.x, abs=1e-6)


def test_the_kelly_fraction_in_closed_form():
    assert risk.kelly_fraction(0.6, 1) == pytest.approx(0.2)
    np.testing.assert_allclose(risk.kelly_fraction([0.5, 0.4, 1.0], 1.0), [0, -0.2, 1], atol=1e-12)


def test_deflated_sharpe_equals_the_worked_example_of_the_paper():
    """Bailey and Lopez de Prado 2014: an annual ratio of 2.5 over 1,250 days, best of 100 trials with variance 1/2
    a year, skewness -3, kurtosis 10: benchmark 0.1132 a day, confidence 0.9004; of 46 trials 0.9505."""
    benchmark = risk.expected_best_sharpe(100, 0.5 / 250)
    assert benchmark == pytest.approx(0.1132, abs=5e-5)
    seen = {"sharpe_ratio": 2.5 / np.sqrt(250), "n": 1250, "skewness": -3, "kurtosis": 10}
    assert risk.sharpe_confidence(**seen, benchmark=benchmark) == pytest.approx(0.9004, abs=5e-5)
    fewer = risk.expected_best_sharpe(46, 0.5 / 250)
    assert risk.sharpe_confidence(**seen, benchmark=fewer) == pytest.approx(0.9505, abs=5e-5)


def test_probabilistic_and_deflated_sharpe_follow_their_formula(rng):
    returns = 0.001 + 0.01 * rng.standard_t(5, 500)
    ratio, g3, g4 = risk.sharpe(returns), skew(returns), kurtosis(returns, fisher=False)
    spread = np.sqrt(1 - g3 * ratio + (g4 - 1) / 4 * ratio**2)
    for benchmark in (0.0, 0.05):
        expected = norm.cdf((ratio - benchmark) * np.sqrt(499) / spread)
        assert risk.probabilistic_sharpe(returns, benchmark) == pytest.approx(expected, rel=1e-9)
    assert risk.deflated_sharpe(returns, 1, 0.001) == risk.probabilistic_sharpe(returns)
    best = risk.expected_best_sharpe(30, 0.001)
    assert risk.deflated_sharpe(returns, 30, 0.001) == risk.probabilistic_sharpe(returns, best)


def test_confidence_is_even_over_samples_whose_true_ratio_is_the_benchmark(rng):
    """Of returns with ratio 0.1 the probability of more than 0.1 is uniform: mean 1/2, variance 1/12."""
    values = [risk.probabilistic_sharpe(0.1 + rng.standard_normal(250), 0.1) for _ in range(600)]
    assert np.mean(values) == pytest.approx(0.5, abs=4 * np.sqrt(1 / 12 / 600))
    assert np.mean(np.array(values) > 0.95) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 600))


@pytest.mark.parametrize("trials", [10, 100, 1000])
def test_the_expected_best_of_trials_is_near_that_of_simulated_normals(rng, trials):
    """The formula is an approximation for many trials: within 3 percent from 10 on."""
    simulated = 0.3 * rng.standard_normal((4000, trials)).max(axis=1).mean()
    assert risk.expected_best_sharpe(trials, 0.09) == pytest.approx(simulated, rel=0.03)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: risk.sharpe([0.1]), "too few"),
        (lambda: risk.sharpe([0.1, np.nan]), "not finite"),
        (lambda: risk.sharpe([0.1, 0.2], [0.1, 0.1, 0.1]), "same number of rows"),
        (lambda: risk.calmar([0.1, -1.0]), "above -1"),
        (lambda: risk.max_drawdown([1.0, 0.0]), "above 0"),
        (lambda: risk.value_at_risk([0.1, 0.2], 95), "level"),
        (lambda: risk.value_at_risk([0.1, 0.2], method="guess"), "method"),
        (lambda: risk.expected_shortfall([0.1, 0.2], method="cornish_fisher"), "method"),
        (lambda: risk.kelly_fraction(1.2, 1), "probability"),
        (lambda: risk.kelly_fraction(0.5, 0), "probability"),
        (lambda: risk.expected_best_sharpe(0, 1), "trials"),
        (lambda: risk.sharpe_confidence(0.1, 100, skewness=3, kurtosis=5), "no returns have"),
    ],
)
def test_what_cannot_work_is_refused(call, says):
    with pytest.raises(StudyError, match=says):
        call()
