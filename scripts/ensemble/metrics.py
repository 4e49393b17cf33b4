"""What the out-of-fold and hold-out predictions of a stack are worth, with n, effective n and intervals.

The pooled rows of many windows are scored as one sample. A mean of AUCs over short windows is biased (pure noise
reaches 0.55 to 0.60 on windows as short as 100 rows), and an early-stopping score is the best of many tries: both are
listed, labelled as what they are, and no gate reads them.
"""

import numpy as np

from scripts.common.periods import iso
from scripts.common.statistics.auc import difference, interval
from scripts.common.statistics.calibration import brier, calibration_error, reliability
from scripts.common.statistics.intervals import wilson
from scripts.common.statistics.shifts import shift_test
from scripts.common.statistics.uniqueness import effective_rows

STACK = "stack"
FIGURES = ("auc", "standard_error", "low", "high", "noise", "accuracy", "brier", "calibration_error", "calibration")
# Of the shift test, in rows: longer than any feature looks back with much weight, and than ten labels.
MEMORY = 250
LABELS = 10


def collect(models, oof, stacked, test, indexes, *, horizon, permutations):
    """The figures of metrics.json.

    ``models``: the base models' names; ``oof``, ``stacked``, ``test`` (or None): frames as in the files of these
    names; ``indexes``: the contents of all index files; ``horizon``: bars a label looks ahead; ``permutations``: the
    least number of shifts that certifies.

    ``oof`` compares the stack with the base models on the rows that the stack predicted walk-forward, ``oof_all_rows``
    has the base models on all their rows, ``test`` is the hold-out (None without one); each as from :func:`_part`, its
    ``scores`` by model (the stack is called "stack") as from :func:`score`.
    """
    settings = {"minimum_shift": max(MEMORY, LABELS * horizon), "permutations": permutations}
    predictions = oof[["timestamp", *(f"p_{model}" for model in models)]]
    same = stacked.merge(predictions, on="timestamp", how="left", validate="1:1")
    return {
        "models": models,
        "oof": _part(same, [STACK, *models], settings),
        "oof_all_rows": _part(oof, models, settings),
        "test": None if test is None else _part(test, [STACK, *models], settings),
        "per_window": {"label": "per window, biased: never gated"} | _by_fold(models, indexes, "window_test_auc"),
        "early_stopping": {"label": "chose the number of rounds: never a result"}
        | _by_fold(models, indexes, "early_stopping_auc"),
    }


def _part(frame, names, settings):
    """Scores of the columns p_<name> on the same rows, and how the stack compares with the best of the others."""
    y = frame["y"].to_numpy()
    start, t1 = (frame[column].dt.tz_localize(None).to_numpy() for column in ("timestamp", "t1"))
    effective = effective_rows(start, t1)
    part = {
        "rows": len(frame),
        "effective_rows": effective,
        "first": iso(frame["timestamp"].min()) if len(frame) else None,
        "last": iso(frame["timestamp"].max()) if len(frame) else None,
        "positive_share": float(y.mean()) if len(frame) else None,
        "scores": {name: score(y, frame[f"p_{name}"].to_numpy(), effective, **settings) for name in names},
    }
    if STACK in names:
        part["best_base"] = _best_base(frame, y, names, part["scores"], effective)
    return part


def score(y, p, effective, *, minimum_shift, permutations):
    """All figures of one model on one set of rows; None for what the rows do not allow.

    ``y`` 0/1 and ``p`` probabilities ``[n]`` in order of time, ``effective``: their effective number.
    """
    if min(y.sum(), len(y) - y.sum()) < 2 or not np.isfinite(p).all():
        return dict.fromkeys(FIGURES)
    pooled = interval(y, p, effective)
    noise = shift_test(y, p, minimum_shift, permutations)
    right = float(np.mean((p > 0.5) == (y == 1)))
    low, high = wilson(right, effective)
    bins = reliability(y, p, effective)
    return {
        "auc": pooled.value,
        "standard_error": pooled.standard_error,
        "low": pooled.low,
        "high": pooled.high,
        "noise": noise._asdict(),
        "accuracy": {"value": right, "low": low, "high": high},
        "brier": brier(y, p),
        "calibration_error": calibration_error(bins),
        "calibration": bins,
    }


def _best_base(frame, y, names, scores, effective):
    """The base model with the highest AUC on these rows, and the stack's AUC less its, with a paired interval."""
    known = {name: scores[name]["auc"] for name in names if name != STACK and scores[name]["auc"] is not None}
    if not known or scores[STACK]["auc"] is None:
        return None
    best = max(known, key=known.get)
    gain = difference(y, frame[f"p_{STACK}"].to_numpy(), frame[f"p_{best}"].to_numpy(), effective)
    return {
        "model": best,
        "auc": known[best],
        "standard_error": scores[best]["standard_error"],
        "stack_gain": gain._asdict(),
    }


def _by_fold(models, indexes, key):
    """Mean, least and greatest of a figure over the folds of each model."""
    found = {model: [] for model in models}
    for index in indexes:
        found[index["model"]] += [fold[key] for fold in index["folds"] if fold[key] is not None]
    return {
        "models": {
            model: {
                "folds": len(values),
                "mean": float(np.mean(values)) if values else None,
                "min": min(values, default=None),
                "max": max(values, default=None),
            }
            for model, values in found.items()
        }
    }
