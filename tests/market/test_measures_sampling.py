import numpy as np
import pytest

from scripts.common.errors import StudyError
from scripts.market.measures import sampling


def walk(n, up=0.5, seed=5):
    rng = np.random.default_rng(seed)
    steps = rng.choice([1.0, 0.0, -1.0], n, p=[up * 0.9, 0.1, (1 - up) * 0.9])
    return 1000 + 0.01 * np.cumsum(steps), rng.integers(1, 50, n).astype(float)


def test_volume_bars_by_hand():
    bars = sampling.volume_bars([10, 12, 9, 11, 13, 8], [4, 3, 5, 10, 2, 3], size=7)
    np.testing.assert_array_equal(bars.first, [0, 2])
    np.testing.assert_array_equal(bars.last, [1, 3])
    np.testing.assert_array_equal(bars.open, [10, 9])
    np.testing.assert_array_equal(bars.high, [12, 11])
    np.testing.assert_array_equal(bars.low, [10, 9])
    np.testing.assert_array_equal(bars.close, [12, 11])
    np.testing.assert_array_equal(bars.volume, [7, 15])
    np.testing.assert_array_equal(bars.amount, [76, 155])
    assert len(bars) == 2


def test_dollar_bars_by_hand():
    bars = sampling.dollar_bars([10, 20, 5, 50], [1, 1, 4, 1], size=30)
    np.testing.assert_array_equal(bars.last, [1, 3])
    np.testing.assert_array_equal(bars.amount, [30, 70])
    np.testing.assert_array_equal(bars.volume, [2, 5])


@pytest.mark.parametrize("make", [sampling.volume_bars, sampling.dollar_bars])
def test_each_bar_is_filled_by_its_last_tick(make):
    prices, volumes = walk(5000)
    weights = volumes if make is sampling.volume_bars else prices * volumes
    size = 12.5 * weights.mean()
    bars = make(prices, volumes, size)
    np.testing.assert_array_equal(bars.first[1:], bars.last[:-1] + 1)
    ends, held = [], 0.0
    for tick, weight in enumerate(weights):
        held += weight
        if held >= size:
            ends.append(tick)
            held = 0.0
    np.testing.assert_array_equal(bars.last, ends)
    for row in (0, 7, len(bars) - 1):
        part = slice(bars.first[row], bars.last[row] + 1)
        assert bars.high[row] == prices[part].max() and bars.low[row] == prices[part].min()
        assert bars.volume[row] == pytest.approx(volumes[part].sum())
        assert bars.amount[row] == pytest.approx((prices * volumes)[part].sum())


def test_sums_that_miss_the_size_by_rounding_fill_a_bar():
    bars = sampling.volume_bars(np.ones(100), np.full(100, 0.1), size=1.0)
    np.testing.assert_array_equal(bars.last, np.arange(9, 100, 10))


def test_a_size_below_every_tick_makes_each_tick_a_bar():
    prices, volumes = walk(50)
    np.testing.assert_array_equal(sampling.volume_bars(prices, volumes, 1e-12).last, np.arange(50))


def test_without_a_full_bar_there_is_none():
    assert len(sampling.volume_bars([1.0, 2.0], [1.0, 1.0], size=3)) == 0
    assert len(sampling.tick_imbalance_bars([1.0, 2.0], expected_ticks=3)) == 0


def by_the_book(prices, expected_ticks, tick_span, bar_span, bounds):
    """Tick-imbalance bars as their definition reads, one tick at a time."""
    sign, theta, start, ends, past = 0.0, 0.0, 0, [], []
    length = imbalance = None
    for t, price in enumerate(prices):
        if t and price != prices[t - 1]:
            sign = 1.0 if price > prices[t - 1] else -1.0
        theta += sign
        past.append(sign)
        if length is None:
            full = t + 1 == expected_ticks
        else:
            expected = min(max(length, bounds[0] * expected_ticks), bounds[1] * expected_ticks)
            full = abs(theta) >= expected * abs(imbalance) * (1 - 1e-9)
        if not full:
            continue
        if length is None:
            length, imbalance = float(expected_ticks), sum(past) / len(past)
        else:
            length += 2 / (bar_span + 1) * (t - start + 1 - length)
            for each in past:
                imbalance += 2 / (tick_span + 1) * (each - imbalance)
        ends.append(t)
        theta, start, past = 0.0, t + 1, []
    return ends


@pytest.mark.parametrize("up", [0.5, 0.55, 0.35])
def test_tick_imbalance_bars_equal_their_definition_tick_by_tick(up):
    prices, _ = walk(6000, up)
    settings = {"expected_ticks": 60, "tick_span": 300, "bar_span": 10, "bounds": (0.2, 5.0)}
    bars = sampling.tick_imbalance_bars(prices, **settings)
    np.testing.assert_array_equal(bars.last, by_the_book(prices, **settings))
    assert bars.first[0] == 0 and bars.last[0] == 59
    assert len(bars) > 10


def test_a_steady_imbalance_makes_bars_of_the_expected_length():
    """Of prices that only rise every tick counts 1 (all but the first, which has no change): bars stay as long."""
    bars = sampling.tick_imbalance_bars(np.arange(1.0, 1001.0), expected_ticks=50)
    lengths = np.diff(bars.last)
    assert ((lengths >= 49) & (lengths <= 50)).all()
    np.testing.assert_array_equal(bars.volume, bars.last - bars.first + 1)


def test_one_sided_flow_ends_bars_sooner_than_the_flow_before_it():
    calm, _ = walk(4000, 0.55)
    rush = calm[-1] + 0.01 * np.arange(1, 201)
    settings = {"expected_ticks": 100, "bounds": (1.0, 1.0), "floor": 0.1}
    bars = sampling.tick_imbalance_bars(np.concatenate([calm, rush]), **settings)
    lengths = bars.last - bars.first + 1
    assert lengths[bars.first >= 4000][0] < 0.5 * np.median(lengths[bars.last < 4000])


def test_balanced_flow_has_bars_of_a_tick_or_two_and_with_a_floor_of_the_expected_length():
    """A walk of fair steps of one leaves (-10, 10) after 100 steps on average, variance 2 / 3 (10^4 - 10^2)."""
    rng = np.random.default_rng(8)
    prices = 5000 + np.cumsum(rng.choice([-1.0, 1.0], 200_000))
    settings = {"expected_ticks": 100, "tick_span": 5000, "bounds": (1.0, 1.0)}
    lengths = np.diff(sampling.tick_imbalance_bars(prices, floor=0.1, **settings).last)[100:]  # E[b] has settled
    assert lengths.mean() == pytest.approx(100, abs=4 * np.sqrt(6600 / len(lengths)))
    assert np.diff(sampling.tick_imbalance_bars(prices, **settings | {"bounds": (0.2, 5.0)}).last).mean() < 10


def test_bars_depend_on_no_later_tick():
    prices, volumes = walk(3000, 0.56)
    whole = sampling.tick_imbalance_bars(prices, volumes)
    part = sampling.tick_imbalance_bars(prices[:2000], volumes[:2000])
    assert len(part) > 3
    np.testing.assert_array_equal(whole.last[: len(part)], part.last)
    np.testing.assert_array_equal(whole.amount[: len(part)], part.amount)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: sampling.volume_bars([1.0, 2.0], [1.0], 5), "same number of rows"),
        (lambda: sampling.volume_bars([1.0, 0.0], [1.0, 1.0], 5), "prices: 0 in row 1"),
        (lambda: sampling.volume_bars([1.0], [-1.0], 5), "negative"),
        (lambda: sampling.dollar_bars([1.0], [1.0], 0), "size"),
        (lambda: sampling.tick_imbalance_bars([1.0], bounds=(2, 3)), "bounds"),
        (lambda: sampling.tick_imbalance_bars([1.0], expected_ticks=0), "expected_ticks"),
        (lambda: sampling.tick_imbalance_bars([1.0], floor=2), "floor"),
    ],
)
def test_what_cannot_work_is_refused(call, says):
    with pytest.raises(StudyError, match=says):
        call()
