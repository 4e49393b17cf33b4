"""Does the ONNX graph of a stack say what the native stack says? On real rows, on thresholds and on missing values.

Rows are float32 ``[n, F]`` with the columns of the graph's ``features``. A comparison of real rows alone proves little:
a threshold that float32 moved by one step matters only for the rows that lie on it.
"""

import math
from dataclasses import dataclass

import numpy as np

from scripts.common.errors import StudyError

THRESHOLD_ROWS = 6000  # at least, where there are any thresholds
MISSING_ROWS = 10  # for every feature
HOLES = 0.3  # share of missing values in rows that miss several


@dataclass(frozen=True)
class NativeStack:
    """The stack without ONNX: base models with their columns of the row, and the meta-model in float64.

    ``bases``: pairs of a model (see ``scripts.ensemble.models``) and its columns; ``extra``: columns; ``meta``: a
    module of ``scripts.ensemble.metas``.
    """

    bases: list
    extra: list
    meta: object
    coefficients: dict

    def predict(self, x):
        """Probabilities of y = 1 for rows ``x``, float64 ``[n]``."""
        inputs = [model.predict(x[:, columns]) for model, columns in self.bases]
        return self.meta.predict(self.coefficients, np.column_stack([*inputs, x[:, self.extra].astype(float)]))


@dataclass(frozen=True)
class Trial:
    """Rows of one kind; ``origins`` says of each of them what it is, for messages."""

    kind: str
    x: np.ndarray
    origins: list


def trials(x, timestamp, features, splits, rows, seed):
    """The trials of a stack: ``real``, ``threshold`` and ``missing`` rows.

    ``x`` and ``timestamp``: all real rows, of which up to ``rows`` are tried; ``splits``: from ``graphs.splits``.
    """
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(len(x), min(len(x), rows), replace=False))
    real = np.ascontiguousarray(x[chosen])
    return [
        Trial("real", real, [f"bar {each} UTC" for each in timestamp[chosen]]),
        on_thresholds(real, features, splits, rows, rng),
        with_holes(real, features, rng),
    ]


def on_thresholds(x, features, splits, rows, rng):
    """Real rows with one value replaced by a threshold or by the float32 number next to it on either side.

    Each split of each tree gets rows that reach it, if any does, so that the value decides. At most ``rows`` rows (a
    sample of the splits), and at least ``THRESHOLD_ROWS`` (several rows for each split).
    """
    total = sum(int(np.sum(each.left >= 0)) for each in splits)
    taken = np.zeros(total, dtype=bool)
    taken[rng.choice(total, min(total, rows // 3), replace=False)] = True
    repeats = min(math.ceil(THRESHOLD_ROWS / 3 / taken.sum()), rows // 3 // taken.sum()) if taken.any() else 0
    sources, targets, values, origins = [], [], [], []
    met = ((each, entry, reached) for each in splits for entry, reached in reaching(each, x))
    for (each, entry, reached), wanted in zip(met, taken, strict=True):
        if not wanted:
            continue
        column, threshold = each.column[entry], each.threshold[entry]
        with np.errstate(over="ignore"):  # beside the greatest float32, where a split parts NaN from all numbers
            near = [np.nextafter(threshold, np.float32(side)) for side in (-np.inf, np.inf)]
        for source in rng.choice(reached if len(reached) else np.arange(len(x)), repeats):
            for value in (near[0], threshold, near[1]):
                if np.isfinite(value):
                    sources.append(source)
                    targets.append(column)
                    values.append(value)
                    origins.append(f"{features[column]} = {value!s}, around a threshold of model '{each.model}'")
    changed = x[np.array(sources, dtype=int)]
    changed[np.arange(len(changed)), np.array(targets, dtype=int)] = values
    return Trial("threshold", changed, origins)


def with_holes(x, features, rng):
    """Real rows without one feature, without many, and a row without any (extras are features too)."""
    single = x[rng.integers(len(x), size=MISSING_ROWS * len(features))]
    columns = np.repeat(np.arange(len(features)), MISSING_ROWS)
    single[np.arange(len(single)), columns] = np.nan
    several = x[rng.integers(len(x), size=MISSING_ROWS * len(features))]
    several[rng.random(several.shape) < HOLES] = np.nan
    none = np.full((1, len(features)), np.nan, dtype=np.float32)
    origins = [f"{features[column]} missing" for column in columns]
    origins += ["several features missing"] * len(several) + ["all features missing"]
    return Trial("missing", np.vstack([single, several, none]), origins)


def difference(trial, native, graph, tolerance):
    """The greatest absolute difference of two functions from rows to probabilities ``[n]``, on a trial's rows.

    Raises StudyError when it is above ``tolerance`` anywhere, or when one of them gives no number.
    """
    if not len(trial.x):
        return 0.0
    expected, found = native(trial.x), graph(trial.x)
    apart = np.abs(found - expected)
    wrong = ~(apart <= tolerance)  # NaN is wrong
    if wrong.any():
        worst = int(np.argmax(np.where(np.isnan(apart), np.inf, apart)))
        raise StudyError(
            f"the ONNX graph differs from the native stack on {wrong.sum()} of {len(wrong)} {trial.kind} rows, by up "
            f"to {apart[worst]:.3g} where {tolerance:g} is allowed: {found[worst]:.9f} instead of "
            f"{expected[worst]:.9f} for {trial.origins[worst]}. Do not use this graph; the conversion of a model to "
            "ONNX is wrong"
        )
    return float(apart.max())


def reaching(splits, x):
    """Pairs of a split's entry and the rows of ``x`` that reach it."""
    waiting = [(root, np.arange(len(x))) for root in splits.roots[::-1]]
    while waiting:
        entry, rows = waiting.pop()
        if splits.left[entry] < 0:
            continue
        yield entry, rows
        value, threshold = x[rows, splits.column[entry]], splits.threshold[entry]
        below = value < threshold if splits.strict[entry] else value <= threshold
        below |= np.isnan(value) & splits.nan_left[entry]
        waiting += [(splits.right[entry], rows[~below]), (splits.left[entry], rows[below])]
