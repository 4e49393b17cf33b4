from math import comb

import numpy as np
import pytest
from scipy.stats import norm

from scripts.common.errors import StudyError
from scripts.market.measures import liquidity


@pytest.fixture
def rng():
    return np.random.default_rng(31)


def test_amihud_by_hand_leaves_out_bars_without_trading():
    assert liquidity.amihud([0.01, -0.02, 0.5], [1e6, 4e6, 0]) == pytest.approx((1e-8 + 5e-9) / 2)


def test_kyle_lambda_recovers_the_planted_slope(rng):
    scores = []
    for _ in range(200):
        volumes = rng.standard_normal(300) * 1000
        impact = liquidity.kyle_lambda(0.01 + 2e-5 * volumes + 0.05 * rng.standard_normal(300), volumes)
        scores.append((impact.value - 2e-5) / impact.standard_error)
    assert np.mean(scores) == pytest.approx(0, abs=4 / np.sqrt(200))
    assert np.std(scores) == pytest.approx(1, abs=0.25)
    exact = liquidity.kyle_lambda([3.0, 5.0, 9.0], [1.0, 2.0, 4.0])
    assert (exact.value, exact.r_squared) == (pytest.approx(2), pytest.approx(1))


def test_roll_spread_recovers_the_planted_bounce(rng):
    """200 samples of 2,000 trades at bid or ask around a random walk; the mean lies within 4 standard errors."""
    spread, estimates = 0.02, []
    for _ in range(200):
        middle = 50 + np.cumsum(0.004 * rng.standard_normal(2000))
        estimates.append(liquidity.roll_spread(middle + spread / 2 * rng.choice([-1, 1], 2000)))
    assert np.mean(estimates) == pytest.approx(spread, abs=4 * np.std(estimates) / np.sqrt(200))
    assert np.std(estimates) < 0.05 * spread


def test_roll_spread_by_hand_and_unknown_for_a_trend():
    assert liquidity.roll_spread([1, 2, 1, 2, 1, 2, 1]) == pytest.approx(
        2 * np.sqrt(1.2)
    )  # five pairs (1, -1), (-1, 1)
    assert np.isnan(liquidity.roll_spread([1, 2, 4, 7]))


def quoted_ranges(rng, days, sigma, spread, gap=0.0):
    """Highs at the ask and lows at the bid of a Brownian midquote, and its close; 390 steps a day."""
    steps = sigma / np.sqrt(390) * rng.standard_normal((days, 390))
    inside = np.concatenate([np.zeros((days, 1)), np.cumsum(steps, axis=1)], axis=1)
    start = np.concatenate([[0], np.cumsum(inside[:, -1])[:-1]]) + np.cumsum(gap * rng.standard_normal(days))
    middle = np.exp(inside + start[:, None])
    return middle.max(axis=1) * (1 + spread / 2), middle.min(axis=1) * (1 - spread / 2), middle[:, -1]


def test_corwin_schultz_is_exact_without_volatility():
    """All bars from bid to ask: alpha is then the log of ask over bid, and S the spread."""
    spread = liquidity.corwin_schultz(np.full(5, 100.5), np.full(5, 99.5), np.full(5, 100.2))
    np.testing.assert_allclose(spread, [np.nan, 0.01, 0.01, 0.01, 0.01], rtol=1e-9)


def test_corwin_schultz_finds_the_planted_spread(rng):
    """Within a tenth at 2 % a day; without a spread the mean is a tenth of the volatility at most."""
    for spread in (0.01, 0.03):
        high, low, _ = quoted_ranges(rng, 20_000, sigma=0.02, spread=spread)
        assert np.nanmean(liquidity.corwin_schultz(high, low, negative=None)) == pytest.approx(spread, rel=0.1)
    high, low, _ = quoted_ranges(rng, 20_000, sigma=0.02, spread=0.0)
    assert abs(np.nanmean(liquidity.corwin_schultz(high, low, negative=None))) < 0.1 * 0.02


def test_corwin_schultz_takes_out_most_of_the_gaps_when_it_knows_the_close(rng):
    high, low, close = quoted_ranges(rng, 20_000, sigma=0.01, spread=0.01, gap=0.03)
    with_close, without = (liquidity.corwin_schultz(high, low, each, negative=None) for each in (close, None))
    assert abs(np.nanmean(with_close) - 0.01) < 0.3 * abs(np.nanmean(without) - 0.01)


def test_corwin_schultz_moves_a_bar_to_the_last_close():
    high, low, close = np.array([11.0, 15.0, 9.0]), np.array([10.0, 14.0, 8.0]), np.array([10.5, 14.5, 8.5])
    ours = liquidity.corwin_schultz(high, low, close, negative=None)
    up = liquidity.corwin_schultz([11.0, 11.5], [10.0, 10.5], negative=None)  # 14 is 3.5 above 10.5
    down = liquidity.corwin_schultz([15.0, 14.5], [14.0, 13.5], negative=None)  # 9 is 5.5 below 14.5
    np.testing.assert_allclose(ours, [np.nan, up[1], down[1]], rtol=1e-12)


def test_negative_corwin_schultz_spreads_become_zero():
    high, low = [10.0, 12.0], [9.9, 11.9]
    assert liquidity.corwin_schultz(high, low, negative=None)[1] < 0
    assert liquidity.corwin_schultz(high, low)[1] == 0
    assert np.isnan(liquidity.corwin_schultz(high, low, negative=np.nan)[1])


def test_bulk_buys_are_the_normal_share_of_the_move(rng):
    changes, volumes = rng.standard_normal(50), rng.integers(1, 100, 50).astype(float)
    expected = volumes * norm.cdf(changes / changes.std(ddof=1))
    np.testing.assert_allclose(liquidity.bulk_buys(changes, volumes), expected, rtol=1e-12)
    rolling = liquidity.bulk_buys(changes, volumes, window=10)
    assert np.isnan(rolling[:9]).all()
    assert rolling[30] == pytest.approx(volumes[30] * norm.cdf(changes[30] / changes[21:31].std(ddof=1)))
    np.testing.assert_array_equal(liquidity.bulk_buys(np.zeros(3), [2.0, 4.0, 6.0]), [1, 2, 3])


def test_vpin_of_one_sided_flow_is_one(rng):
    volumes = rng.integers(1, 100, 500).astype(float)
    for buys, sells in ((volumes, 0 * volumes), (0 * volumes, volumes)):
        values = liquidity.vpin(buys, sells, bucket_volume=130, window=10)
        assert len(values) == int(volumes.sum() // 130)
        assert np.isnan(values[:9]).all()
        np.testing.assert_allclose(values[9:], 1, rtol=1e-9)


def test_vpin_of_balanced_flow_is_the_mean_distance_of_a_random_walk(rng):
    """Unit trades of either side with equal chance: E|B - S| / V is C(V, V/2) / 2^V for an even V."""
    size, buckets = 20, 20_000
    buys = rng.integers(0, 2, size * buckets).astype(float)
    value = liquidity.vpin(buys, 1 - buys, size, window=buckets)[-1]
    expected = comb(size, size // 2) / 2**size
    error = np.sqrt((1 / size - expected**2) / buckets)
    assert value == pytest.approx(expected, abs=4 * error)


def test_vpin_splits_what_overflows_a_bucket():
    """10 bought, 10 sold, 6 sold in buckets of 8: 8 | 2 bought 6 sold | 8 sold; the last 2 are left out."""
    values = liquidity.vpin([10, 0, 0], [0, 10, 6], bucket_volume=8, window=1)
    np.testing.assert_allclose(values, [1, 4 / 8, 1])
    np.testing.assert_allclose(liquidity.vpin([10, 0, 0], [0, 10, 6], 8, window=3)[-1], 2.5 / 3)


def test_vpin_passes_over_bars_without_trading():
    values = liquidity.vpin([4, 0, 4, 0], [0, 0, 0, 8], bucket_volume=4, window=2)
    np.testing.assert_allclose(values, [np.nan, 1, 1, 1])
    assert len(liquidity.vpin([0.0], [0.0], bucket_volume=4)) == 0


def test_effective_and_realized_spread_by_hand():
    prices, middle, side = [10.1, 9.9, 10.3, 10.0], [10.0, 10.0, 10.1, 10.1], [1, -1, 1, -1]
    np.testing.assert_allclose(liquidity.effective_spread(prices, middle, side), [0.2, 0.2, 0.4, 0.2])
    np.testing.assert_allclose(liquidity.realized_spread(prices, middle, side, 2), [0, 0.4, np.nan, np.nan], atol=1e-12)
    relative = liquidity.effective_spread(prices, middle, side, relative=True)
    np.testing.assert_allclose(relative, [0.02, 0.02, 0.4 / 10.1, 0.2 / 10.1])
    relative = liquidity.realized_spread(prices, middle, side, 1, relative=True)
    np.testing.assert_allclose(relative[1:], [0.4 / 10, 0.4 / 10.1, np.nan])


def test_effective_less_realized_spread_is_twice_the_impact(rng):
    middle = 100 + np.cumsum(rng.standard_normal(200)) * 0.1
    side = rng.choice([-1, 1], 200)
    prices = middle + side * rng.random(200)
    gone = liquidity.effective_spread(prices, middle, side) - liquidity.realized_spread(prices, middle, side, 5)
    np.testing.assert_allclose(gone[:-5], 2 * side[:-5] * (middle[5:] - middle[:-5]), atol=1e-12)


def test_order_flow_imbalance_by_case():
    """Bid up, bid size grows, bid down, ask up, ask size grows, ask down: each alone, in this order."""
    bid = [10, 11, 11, 10, 10, 10, 10]
    bid_size = [5, 7, 9, 4, 4, 4, 4]
    ask = [12, 12, 12, 12, 13, 13, 12]
    ask_size = [6, 6, 6, 6, 8, 11, 3]
    flow = liquidity.order_flow_imbalance(bid, bid_size, ask, ask_size)
    np.testing.assert_array_equal(flow, [np.nan, 7, 2, -9, 6, -3, -3])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: liquidity.amihud([0.1], [0.0]), "nothing is traded"),
        (lambda: liquidity.amihud([0.1], [-1.0]), "negative"),
        (lambda: liquidity.kyle_lambda([1, 2, 3], [4, 4, 4]), "all are equal"),
        (lambda: liquidity.roll_spread([1, 2, 3]), "too few"),
        (lambda: liquidity.corwin_schultz([1.0, 1.0], [0.5, 2.0]), "below the low"),
        (lambda: liquidity.vpin([1.0], [1.0], 0), "bucket_volume"),
        (lambda: liquidity.vpin([1.0], [np.nan], 1), "not finite"),
        (lambda: liquidity.effective_spread([1.0], [1.0], [0]), "directions"),
        (lambda: liquidity.realized_spread([1.0], [1.0], [1], 0), "horizon"),
        (lambda: liquidity.order_flow_imbalance([1, 1], [1, -1], [2, 2], [1, 1]), "bid_size"),
    ],
)
def test_what_cannot_work_is_refused(call, says):
    with pytest.raises(StudyError, match=says):
        call()
