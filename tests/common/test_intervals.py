import pytest

from scripts.common.statistics.intervals import wilson


@pytest.mark.parametrize("count, n", [(0, 10), (3, 10), (10, 10), (530, 1000)])
def test_wilson_is_that_of_scipy(count, n):
    from scipy.stats import binomtest

    expected = binomtest(count, n).proportion_ci(0.9, method="wilson")
    assert wilson(count / n, n, 0.9) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_fewer_separate_observations_say_less():
    assert wilson(0.55, 200.5)[0] < wilson(0.55, 1000)[0] < 0.55
    assert wilson(0.5, 0) == (0.0, 1.0)
