import numpy as np
import pytest

from scripts.common.errors import StudyError
from scripts.market.measures import volatility

SIGMA = 0.02
BARS = 20_000
STEPS = 64


def brownian_bars(seed, drift=0.0, gap=0.0, bars=BARS):
    """Open, high, low, close of bars of Brownian motion with volatility SIGMA, and gaps between them.

    The extremes of each of STEPS steps are those of a Brownian bridge, drawn from their law, so that no bias comes
    from a grid; only the dependence of a high and a low within one and the same step is lost.
    """
    rng = np.random.default_rng(seed)
    step = SIGMA / np.sqrt(STEPS)
    moves = drift / STEPS + step * rng.standard_normal((bars, STEPS))
    path = np.concatenate([np.zeros((bars, 1)), np.cumsum(moves, axis=1)], axis=1)
    before, after = path[:, :-1], path[:, 1:]
    reach = [np.sqrt((after - before) ** 2 - 2 * step**2 * np.log(rng.random((bars, STEPS)))) for _ in range(2)]
    high = ((before + after + reach[0]) / 2).max(axis=1)
    low = ((before + after - reach[1]) / 2).min(axis=1)
    body = path[:, -1]
    gaps = gap * rng.standard_normal(bars)
    open_ = np.cumsum(gaps) + np.concatenate([[0], np.cumsum(body)[:-1]])
    return [np.exp(open_ + part) for part in (0, high, low, body)]


@pytest.fixture(scope="module")
def bars():
    return brownian_bars(seed=1)


def every_estimator(bars, window=None):
    open_, high, low, close = bars
    return {
        "parkinson": volatility.parkinson(high, low, window),
        "garman_klass": volatility.garman_klass(*bars, window),
        "rogers_satchell": volatility.rogers_satchell(*bars, window),
        "yang_zhang": volatility.yang_zhang(*bars, window),
        "close_to_close": volatility.close_to_close(close, window),
    }


def test_all_are_unbiased_for_brownian_bars(bars):
    """A variance has the relative error sqrt(2 / (efficiency n)), efficiencies from the papers; 4 of it are allowed."""
    efficiency = {"parkinson": 4.9, "garman_klass": 7.4, "rogers_satchell": 6.0, "yang_zhang": 6.0, "close_to_close": 1}
    for name, value in every_estimator(bars).items():
        error = np.sqrt(2 / efficiency[name] / BARS)
        assert value**2 == pytest.approx(SIGMA**2, rel=4 * error), name


def test_efficiencies_are_those_of_the_papers(bars):
    open_, high, low, close = bars
    closes = np.log(close / open_) ** 2
    for measure, expected in (
        (volatility.parkinson(high, low, window=1), 4.9),
        (volatility.garman_klass(*bars, window=1), 7.4),
        (volatility.rogers_satchell(*bars, window=1), 6.0),
    ):
        assert closes.var() / (measure**2).var() == pytest.approx(expected, rel=0.08)


def test_with_drift_rogers_satchell_and_yang_zhang_stay_unbiased_and_parkinson_does_not():
    values = every_estimator(brownian_bars(seed=2, drift=SIGMA))
    error = np.sqrt(2 / 4 / BARS)
    assert values["rogers_satchell"] ** 2 == pytest.approx(SIGMA**2, rel=4 * error)
    assert values["yang_zhang"] ** 2 == pytest.approx(SIGMA**2, rel=4 * error)
    assert values["close_to_close"] ** 2 == pytest.approx(SIGMA**2, rel=4 * np.sqrt(2 / BARS))
    assert values["parkinson"] ** 2 > 1.2 * SIGMA**2


def test_only_yang_zhang_and_closes_see_the_gaps_between_bars():
    values = every_estimator(brownian_bars(seed=3, drift=SIGMA / 2, gap=0.01))
    for name in ("yang_zhang", "close_to_close"):
        assert values[name] ** 2 == pytest.approx(SIGMA**2 + 0.01**2, rel=4 * np.sqrt(2 / BARS))
    assert values["rogers_satchell"] ** 2 == pytest.approx(SIGMA**2, rel=0.02)


def test_estimators_by_hand():
    """One bar with ln O, H, L, C of 0, 2, -1 and 1."""
    bar = np.exp([[0.0], [2.0], [-1.0], [1.0]])
    assert volatility.parkinson(bar[1], bar[2]) ** 2 == pytest.approx(9 / (4 * np.log(2)))
    assert volatility.garman_klass(*bar) ** 2 == pytest.approx(4.5 - (2 * np.log(2) - 1))
    assert volatility.rogers_satchell(*bar) ** 2 == pytest.approx(2 * 1 + 1 * 2)


def test_yang_zhang_equals_its_formula():
    bars = brownian_bars(seed=4, gap=0.01, bars=30)
    o, h, low, c = (np.log(each) for each in bars)
    n = 29
    gaps, bodies = o[1:] - c[:-1], (c - o)[1:]
    inside = np.mean((h - o)[1:] * (h - c)[1:] + (low - o)[1:] * (low - c)[1:])
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    expected = np.var(gaps, ddof=1) + k * np.var(bodies, ddof=1) + (1 - k) * inside
    assert volatility.yang_zhang(*bars) ** 2 == pytest.approx(expected, rel=1e-9)


def test_a_window_is_the_estimate_of_its_own_bars(bars):
    first = [each[:200] for each in bars]
    rolling = every_estimator(first, window=20)
    for name, values in rolling.items():
        spare = name in ("yang_zhang", "close_to_close")  # they need the close before the window
        part = [each[150 - 20 - spare : 150] for each in bars]
        assert values[149] == pytest.approx(every_estimator(part)[name], rel=1e-9)
        assert np.isnan(values[: 19 + spare]).all() and not np.isnan(values[19 + spare :]).any()


def test_ewma_by_hand_and_by_recursion():
    np.testing.assert_allclose(volatility.ewma([0.02, 0.01], 0.5) ** 2, [0.0004, (0.0001 + 0.5 * 0.0004) / 1.5])
    returns = np.random.default_rng(5).standard_normal(600) * 0.01
    variance, ours = returns[0] ** 2, volatility.ewma(returns)
    for value in returns[1:]:
        variance = 0.94 * variance + 0.06 * value**2
    assert ours[-1] == pytest.approx(np.sqrt(variance), rel=1e-9)
    np.testing.assert_array_equal(volatility.ewma(returns[:300]), ours[:300])


def garch_returns(rng, n, omega, alpha, beta, gamma=0.0, mu=0.0, log=False):
    """Returns of a GARCH, GJR or (``log``) EGARCH process of unit normals, after 500 that are dropped."""
    variance = np.exp(omega / (1 - beta)) if log else omega / (1 - alpha - gamma / 2 - beta)
    values = []
    for z in rng.standard_normal(n + 500):
        shock = np.sqrt(variance) * z
        values.append(mu + shock)
        if log:
            variance = np.exp(omega + alpha * (abs(z) - np.sqrt(2 / np.pi)) + gamma * z + beta * np.log(variance))
        else:
            variance = omega + (alpha + gamma * (z < 0)) * shock**2 + beta * variance
    return np.array(values[500:])


@pytest.mark.parametrize(
    ("fit", "true"),
    [
        (volatility.garch, {"mu": 5e-4, "omega": 4e-6, "alpha": 0.08, "beta": 0.88}),
        (volatility.gjr_garch, {"mu": 5e-4, "omega": 4e-6, "alpha": 0.04, "gamma": 0.1, "beta": 0.87}),
        (volatility.egarch, {"mu": 5e-4, "omega": -0.4, "alpha": 0.15, "gamma": -0.08, "beta": 0.955}),
    ],
)
def test_a_fit_recovers_the_simulated_parameters_within_its_standard_errors(fit, true):
    scores = []
    for seed in range(20, 28):  # of seed 24 the mean fitted within EGARCH has an error of 10 standard errors
        log = fit is volatility.egarch
        returns = garch_returns(np.random.default_rng(seed), 3000, log=log, **true)
        result = fit(returns)
        assert set(result.parameters) == set(true)
        scores.append([(result.parameters[name] - true[name]) / result.standard_errors[name] for name in true])
    assert np.abs(scores).max() < 4
    assert 0.5 < np.sqrt(np.mean(np.square(scores))) < 1.6  # neither too sure nor too shy


def test_conditional_volatility_follows_the_models_own_recursion():
    returns = garch_returns(np.random.default_rng(3), 2000, 4e-6, 0.05, 0.85, gamma=0.1)
    for fit in (volatility.garch, volatility.gjr_garch):
        result = fit(returns)
        p = result.parameters
        shocks = returns - p["mu"]
        weight = p["alpha"] + p.get("gamma", 0.0) * (shocks < 0)
        following = p["omega"] + weight * shocks**2 + p["beta"] * result.volatility**2
        np.testing.assert_allclose(result.volatility[1:] ** 2, following[:-1], rtol=1e-6)
        assert result.next_volatility**2 == pytest.approx(following[-1], rel=1e-6)
        density = -0.5 * (np.log(2 * np.pi * result.volatility**2) + (shocks / result.volatility) ** 2)
        assert result.log_likelihood == pytest.approx(density.sum(), rel=1e-9)
        assert result.persistence == pytest.approx(p["alpha"] + p["beta"] + p.get("gamma", 0.0) / 2)
        assert result.long_run_volatility == pytest.approx(returns.std(), rel=0.15)


def test_conditional_volatility_of_egarch_follows_its_recursion():
    returns = garch_returns(np.random.default_rng(4), 2000, -0.4, 0.15, 0.955, gamma=-0.08, log=True)
    result = volatility.egarch(returns)
    p = result.parameters
    z = (returns - p["mu"]) / result.volatility
    shock = p["alpha"] * (np.abs(z) - np.sqrt(2 / np.pi)) + p["gamma"] * z
    following = p["omega"] + shock + p["beta"] * np.log(result.volatility**2)
    np.testing.assert_allclose(np.log(result.volatility[1:] ** 2), following[:-1], rtol=1e-6)
    assert np.log(result.next_volatility**2) == pytest.approx(following[-1], rel=1e-6)
    assert result.long_run_volatility == pytest.approx(np.exp(p["omega"] / (1 - p["beta"]) / 2))


@pytest.mark.parametrize("fit", [volatility.garch, volatility.gjr_garch, volatility.egarch])
def test_a_fit_in_percent_is_the_fit_in_fractions(fit):
    returns = garch_returns(np.random.default_rng(6), 1500, 4e-6, 0.08, 0.88)
    one, hundred = fit(returns), fit(100 * returns)
    np.testing.assert_allclose(100 * one.volatility, hundred.volatility, rtol=1e-6)
    assert hundred.long_run_volatility == pytest.approx(100 * one.long_run_volatility, rel=1e-6)
    assert one.standard_errors["mu"] * 100 == pytest.approx(hundred.standard_errors["mu"], rel=1e-4)


def test_student_t_finds_the_degrees_of_freedom():
    rng = np.random.default_rng(7)
    returns = 0.01 * rng.standard_t(5, 4000)
    result = volatility.garch(returns, distribution="t")
    assert result.parameters["nu"] == pytest.approx(5, abs=4 * result.standard_errors["nu"])


def test_har_rv_equals_least_squares_on_day_week_and_month():
    rng = np.random.default_rng(8)
    realized = np.full(1500, 1e-4)
    for t in range(22, len(realized)):
        day, week, month = realized[t - 1], realized[t - 5 : t].mean(), realized[t - 22 : t].mean()
        realized[t] = 1e-5 + 0.35 * day + 0.3 * week + 0.25 * month + 1e-5 * rng.standard_normal()
    fit = volatility.har_rv(realized)
    rows = range(22, len(realized))
    design = np.array([[1, realized[t - 1], realized[t - 5 : t].mean(), realized[t - 22 : t].mean()] for t in rows])
    expected = np.linalg.lstsq(design, realized[22:])[0]
    np.testing.assert_allclose(list(fit.coefficients.values()), expected, rtol=1e-5)
    true = {"const": 1e-5, "day": 0.35, "week": 0.3, "month": 0.25}
    for name, value in true.items():
        assert fit.coefficients[name] == pytest.approx(value, abs=4 * fit.standard_errors[name])
    ahead = np.array([1, realized[-1], realized[-5:].mean(), realized[-22:].mean()])
    assert fit.forecast == pytest.approx(ahead @ expected, rel=1e-6)
    residual = realized[22:] - design @ expected
    assert fit.r_squared == pytest.approx(1 - residual.var() / realized[22:].var(), rel=1e-6)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: volatility.garch(np.ones(99)), "99 rows are too few"),
        (lambda: volatility.garch(np.ones(200)), "all 200 values are equal"),
        (lambda: volatility.garch(np.arange(200.0), "cauchy"), "normal or t"),
        (lambda: volatility.har_rv(np.arange(30.0)), "too few"),
        (lambda: volatility.ewma([0.1], 1.0), "decay"),
        (lambda: volatility.parkinson([1.0], [2.0]), "leave their own range"),
        (lambda: volatility.garman_klass([1.0, 5.0], [2.0, 4.0], [1.0, 3.0], [2.0, 4.0]), "row 1: open 5, high 4"),
        (lambda: volatility.rogers_satchell([1.0], [1.0], [0.0], [1.0]), "above 0"),
        (lambda: volatility.yang_zhang(*[[1.0, 1.0]] * 4), "too few"),
        (lambda: volatility.close_to_close([1.0, 2.0, 3.0], window=1), "window"),
    ],
)
def test_what_cannot_work_is_refused(call, says):
    with pytest.raises(StudyError, match=says):
        call()
