"""The stack: a meta-model on the base models' out-of-fold predictions, fitted walk-forward.

In-sample predictions of the base models would teach the meta-model to trust whoever overfits most (0.998 reported and
0.44 held out, measured on noise); so it sees out-of-fold predictions only, and its own are out-of-fold too: those of a
window come from rows whose labels had ended before the window began.
"""

import time

import numpy as np

from scripts.common.job import progress
from scripts.ensemble import folds

# Rows before the first prediction, and rows predicted by one fit. Counted from the first out-of-fold row, so that
# appended rows move no window.
FIRST = 1000
STEP = 1000


def inputs(models, extra):
    """The columns that the meta-model reads, in its order: predictions of the base models, then extras."""
    return [*(f"p_{model}" for model in models), *extra]


def schedule(rows):
    """``(first, step)`` for a matrix of ``rows`` rows: half of a short one is left to predict."""
    return min(FIRST, rows // 2), STEP


def walk_forward(kind, x, y, timestamp, t1, *, probabilities, settings, seed, first, step):
    """Predictions of the meta-model for rows that it had not seen, float64 ``[n]``; NaN for the first ``first`` rows.

    ``kind``: a module of ``scripts.ensemble.metas``; ``x`` float64 ``[n, k]`` with base predictions in its first
    ``probabilities`` columns, ``y`` 0/1, ``timestamp`` ascending and ``t1`` datetime64 ``[n]``. Rows are predicted
    ``step`` at a time by a model fitted on all earlier rows whose label ends (``t1``) before the window's first row.
    Raises StudyError when a window has no training rows of both classes.
    """
    p, said = np.full(len(y), np.nan), time.monotonic()
    for begin in range(first, len(y), step):
        window = slice(begin, begin + step)
        train = np.flatnonzero(t1 < timestamp[begin])
        folds.require_both_classes(y, train, f"the meta-model's training window before {timestamp[begin]}")
        coefficients = kind.fit(x[train], y[train], probabilities, settings, seed)
        p[window] = kind.predict(coefficients, x[window])
        if time.monotonic() - said > 5:
            progress.info("stacked %d of %d rows", min(begin + step, len(y)), len(y))
            said = time.monotonic()
    return p
