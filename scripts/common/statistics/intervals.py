"""Confidence intervals of proportions."""

from statistics import NormalDist

import numpy as np


def wilson(share, n, level=0.95):
    """The Wilson score interval (low, high) of a proportion ``share`` seen in ``n`` separate observations.

    ``n`` may be an effective number of rows, not whole. Wilson (1927); unlike the textbook interval it keeps its
    coverage for small n and near 0 and 1. Without observations it is (0, 1).
    """
    if not n:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # exactly 0 and 1 at the ends, where rounding leaves a rest
    low = 0.0 if share <= 0 else max(0.0, float(center - half))
    return low, 1.0 if share >= 1 else min(1.0, float(center + half))
