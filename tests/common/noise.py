"""Scores with memory and overlapping labels: what market predictions look like, with a known relation or none."""

import numpy as np


def persistent(rng, n, memory):
    """An AR(1) series with variance 1, float64 ``[n]``."""
    from scipy.signal import lfilter

    shocks = rng.normal(size=n) * np.sqrt(1 - memory**2)
    shocks[0] /= np.sqrt(1 - memory**2)
    return lfilter([1], [1, -memory], shocks)


def overlapping(rng, n, horizon, drift=None):
    """``(y, start, t1)``: signs of sums over the next ``horizon`` of noise, plus ``drift[t]`` in the step after t."""
    steps = rng.normal(size=n + horizon)
    if drift is not None:
        steps[1 : n + 1] += drift
    total = np.concatenate([[0], np.cumsum(steps)])
    start = np.arange(n)
    return (total[start + horizon + 1] > total[start + 1]).astype(np.int8), start, start + horizon
