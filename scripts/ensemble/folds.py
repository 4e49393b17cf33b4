"""Walk-forward folds: which rows train, choose the rounds and test, and which folds there are at all.

Folds are counted in positions of the calendar grid from the market's first bar, never in rows: a quarantined bar
shifts nothing, and appended bars move no fold. With ``train`` = w and ``warmup`` = a, fold k tests
``[a + w + k * step, a + w + k * step + test)`` and trains on the w positions before it (``rolling``) or on all of them
from a (``expanding``); the last ``validation`` positions of the training window choose the number of rounds.

Rows whose label is still open when the next window starts are purged: a row may train only if ``t1``, the open time
of the bar whose close ends its label, lies before that start. Lopez de Prado, Advances in Financial Machine Learning
(2018), section 7.4.1; an embargo is needed only where training rows follow test rows, which never happens here.
"""

import math

import numpy as np

from scripts.common.errors import StudyError
from scripts.common.periods import bounds, iso, period_of, stamp
from scripts.common.timeframes import duration


def plan(
    grid,
    *,
    train,
    validation,
    test,
    step,
    window,
    warmup,
    holdout,
    horizon,
    per_job,
    partition,
    timeframe,
    min_rows_to_stack,
    first=None,
):
    """All folds of one target as the body of folds.json.

    ``grid``: DatetimeIndex (UTC) of the bars that the calendar expects, from the market's first bar to the target's
    last one. ``train, validation, test, step, warmup, horizon`` count bars; ``window`` is rolling or expanding.
    ``holdout``: 0, a share of the grid's tail, or an ISO date; it is moved down to the start of its period.
    ``first``: the target's own first bar, when it was listed after the market began: folds whose training window
    begins earlier are left out (their numbers stay unused).

    A fold exists when its test window and the labels that begin in it end before the hold-out (or the grid's end).
    The decision is ``skip``, with a reason, when there are fewer out-of-fold rows than ``min_rows_to_stack``.
    Windows are half-open pairs of ISO texts; ``train`` excludes ``validation``. Raises StudyError for an empty grid
    or a hold-out that begins after the last bar.
    """
    if not len(grid):
        raise StudyError(
            f"no bar of {timeframe} is complete yet, so there is nothing to fold: the market needs more data"
        )
    held = hold_out(grid, holdout, partition, timeframe)
    limit = position(grid, held["start"]) if held else len(grid)
    usable = max(warmup, position(grid, first) if first else 0)  # before it no window begins

    folds = []
    for number in range(max(0, (limit - horizon - test - warmup - train) // step + 1)):
        start = warmup + train + number * step
        if start - train >= usable:
            begin = start - train if window == "rolling" else usable
            folds.append(_fold(grid, number, begin, start - validation, start, start + test))

    rows, needed = len(folds) * test, train + test + horizon
    reason = None
    if not folds:
        before = f" before the hold-out, which begins {held['start']}" if held else ""
        reason = (
            f"no fold fits: {max(limit - usable, 0)} bars{before}, {needed} needed "
            f"(train {train}, test {test}, label horizon {horizon})"
        )
    elif rows < min_rows_to_stack:
        reason = f"{rows} out-of-fold rows, {min_rows_to_stack} needed to stack"
    final = None
    if folds:
        begin = max(usable, limit - train) if window == "rolling" else usable
        final = {"start": iso(grid[begin]), "end": held["start"] if held else end_of(grid, timeframe)}
    return {
        "decision": "skip" if reason else "stack",
        "reason": reason,
        "rows": {"grid": len(grid), "oof": rows},
        "anchor": iso(grid[0]),
        "holdout": held,
        "folds": folds,
        "blocks": _blocks([fold["fold"] for fold in folds], per_job),
        "final": final,
    }


def _fold(grid, number, train, validation, test, end):
    """A fold of folds.json from the positions where its windows begin and where the last one ends."""
    train, validation, test, end = (iso(grid[each]) for each in (train, validation, test, end))
    return {
        "fold": number,
        "train": [train, validation],
        "validation": [validation, test] if validation < test else None,
        "test": [test, end],
    }


def _blocks(numbers, per_job):
    """Runs of ``per_job`` folds under the names b000, b001, ..."""
    return {f"b{i // per_job:03d}": numbers[i : i + per_job] for i in range(0, len(numbers), per_job)}


def hold_out(grid, holdout, partition, timeframe):
    """The hold-out as ``{"start", "end"}`` ISO texts, half-open, or None for ``holdout`` 0.

    It begins with a period of ``partition``, so that no file of features or labels holds rows of both sides: the
    period of the first bar of the share, or of the date. Raises StudyError when it would begin after the last bar.
    """
    if not holdout:
        return None
    moment = stamp(holdout) if isinstance(holdout, str) else grid[len(grid) - math.ceil(holdout * len(grid))]
    start, _ = bounds(period_of(moment, partition))
    if start > grid[-1]:
        raise StudyError(
            f"folds.holdout: {holdout} lies after the last bar ({iso(grid[-1])}), so nothing would be held out; "
            "set an earlier date, a share such as 0.15, or 0 for none"
        )
    return {"start": iso(start), "end": end_of(grid, timeframe)}


def position(grid, moment):
    """How many points of the grid lie before ``moment`` (ISO text or datetime)."""
    return int(grid.searchsorted(stamp(moment)))


def end_of(grid, timeframe):
    """The close time of the grid's last bar, as ISO text."""
    return iso(grid[-1] + duration(timeframe))


def rows_of(fold, timestamp, t1, *, purge=True):
    """The rows of a fold's windows as positions: ``{"train": ..., "validation": ..., "test": ...}`` (int64 arrays).

    ``timestamp``, ``t1``: numpy datetime64 arrays of equal length in UTC, ``timestamp`` ascending. Training rows are
    purged against the validation window (the test window, where there is none), validation rows against the test
    window. ``purge=False`` exists to show in tests what the purge prevents.
    """
    later = fold["validation"] or fold["test"]
    return {
        "train": _within(fold["train"], timestamp, t1, later[0] if purge else None),
        "validation": _within(fold["validation"], timestamp, t1, fold["test"][0] if purge else None),
        "test": _within(fold["test"], timestamp, t1, None),
    }


def window_rows(window, timestamp, t1):
    """The rows of ``{"start", "end"}`` whose labels end before its end, as positions (int64)."""
    return _within([window["start"], window["end"]], timestamp, t1, window["end"])


def require_both_classes(y, rows, where):
    """Raise StudyError, naming ``where``, unless the labels ``y`` (0 or 1) of these rows hold both classes."""
    ones = int(np.sum(y[rows]))
    if not 0 < ones < len(rows):
        found = f"{len(rows)} rows that all have y = {int(ones > 0)}" if len(rows) else "no row with a known label"
        raise StudyError(
            f"{where} has {found}, so nothing can be learned from it: it is too short or bars are missing there "
            "(see quality.json); lengthen it in `folds` (a validation of 0 means: no early stopping)"
        )


def _within(window, timestamp, t1, before):
    """Positions of the rows in a half-open window whose label ends before the moment ``before`` (None: any)."""
    if window is None:
        return np.empty(0, dtype=np.int64)
    first, last = np.searchsorted(timestamp, [_moment(each) for each in window])
    rows = np.arange(first, last)
    return rows if before is None else rows[t1[first:last] < _moment(before)]


def _moment(text):
    """An ISO text as a naive UTC datetime64, comparable with the arrays."""
    return np.datetime64(stamp(text).replace(tzinfo=None), "us")
