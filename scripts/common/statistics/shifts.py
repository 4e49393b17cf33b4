"""Whether an AUC is better than noise with the same memory: the circular-shift test."""

from typing import NamedTuple

import numpy as np

from scripts.common.statistics.auc import auc, midranks


class ShiftTest(NamedTuple):
    """The outcome of :func:`shift_test`. ``certifies`` is False where there were too few shifts for p to count."""

    auc: float
    p: float
    null_mean: float
    null_high: float
    shifts: int
    minimum_shift: int
    certifies: bool


def shift_test(y, score, minimum_shift, at_least=2000):
    """A one-sided test of the pooled AUC against those of all circular shifts of the labels.

    ``y`` 0/1 and ``score`` ``[n]``, both in order of time. Labels that overlap and scores that persist make the AUC of
    a worthless score vary far more than the number of rows suggests; shifting the labels against the scores keeps both
    memories and breaks only their relation. p = (1 + shifts with an AUC at least as high) / (1 + shifts), and
    ``null_high`` is the 99.9 % quantile of the shifted AUCs. Shifts by fewer than ``minimum_shift`` rows either way are
    left out, because there the relation is not broken: choose it longer than the label and the memory of the features.
    A seasonal pattern survives shifts by whole seasons, so a score that knows nothing but the hour cannot pass.

    All shifts come from one Fourier transform: the rank sum of the positives, as a function of the shift, is the
    circular correlation of ranks and labels. Raises StudyError as :func:`.auc.auc` does.
    """
    observed = auc(y, score)
    positive = np.asarray(y) == 1
    rows, positives = len(positive), int(positive.sum())
    ranks = midranks(score) - (rows + 1) / 2
    spectrum = np.fft.rfft(ranks) * np.conj(np.fft.rfft(positive.astype(float)))
    # rank sums are multiples of a half: rounding takes away the transform's error, and ties count as ties
    sums = np.rint(2 * np.fft.irfft(spectrum, rows)) / 2
    null = 0.5 + sums[max(minimum_shift, 1) : rows - max(minimum_shift, 1) + 1] / (positives * (rows - positives))
    if not len(null):
        return ShiftTest(observed, 1.0, 0.5, 1.0, 0, minimum_shift, False)
    reached = 0.5 + sums[0] / (positives * (rows - positives))
    p = (1 + np.count_nonzero(null >= reached)) / (1 + len(null))
    high = float(np.quantile(null, 0.999))
    return ShiftTest(observed, p, float(null.mean()), high, len(null), minimum_shift, len(null) >= at_least)
