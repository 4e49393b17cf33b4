"""A block of folds: trained together on rows that are read once, whatever the kind of model."""

from dataclasses import dataclass

import numpy as np

from scripts.common.statistics.auc import auc
from scripts.ensemble import folds


@dataclass(frozen=True)
class Fold:
    """A trained fold: its model, the positions of its test rows, their predictions, and what the index records."""

    number: int
    model: object
    test_rows: np.ndarray
    p: np.ndarray
    rows: dict
    window_test_auc: float | None


def train_block(kind, rows, windows, settings, *, threads, seed, purge=True, skip=()):
    """Yield a :class:`Fold` for each of ``windows`` (folds as in folds.json, ascending).

    ``kind``: a module of ``scripts.ensemble.models``; ``rows``: :class:`scripts.ensemble.rows.Rows` that cover the
    windows; ``settings``: the model's. ``purge=False`` exists to show in tests what the purge prevents.
    ``skip``: numbers of folds that need no training; the others come out the same without them.
    Raises StudyError when a training or validation window does not hold both classes.
    """
    parts = [folds.rows_of(window, rows.timestamp, rows.t1, purge=purge) for window in windows]
    for window, part in zip(windows, parts, strict=True):
        for name in ("train", "validation") if window["validation"] else ("train",):
            folds.require_both_classes(rows.y, part[name], f"the {name} window of fold {window['fold']}")
    data = kind.prepare(rows.x, rows.y, rows.names, parts[0]["train"], settings, threads, seed)
    for window, part in zip(windows, parts, strict=True):
        if window["fold"] in skip:
            continue
        model = kind.fit(data, part["train"], part["validation"], settings)
        p = model.predict(rows.x, part["test"])
        counts = {name: len(part[name]) for name in ("train", "validation", "test")}
        yield Fold(window["fold"], model, part["test"], p, counts, window_auc(rows.y[part["test"]], p))


def window_auc(y, p):
    """The AUC of one test window, or None where one class is missing.

    On windows as short as a label's horizon its mean over folds is biased: pure noise reaches 0.55 to 0.60. It is
    shown, labelled so, and never gated; gates read the pooled out-of-fold rows.
    """
    return float(auc(y, p)) if 0 < np.sum(y) < len(y) else None
