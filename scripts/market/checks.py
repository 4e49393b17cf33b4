"""Checks of raw bars: what is kept, what is quarantined and why, and what was noticed.

Everything is local in time: a new row never changes what was said of an old month, so that old months keep their
digests. (The last bars of the data are the exception: a jump is judged by up to three bars after it.)
"""

import numpy as np

from scripts.common.errors import StudyError
from scripts.market.bars import VALUES, tidy
from scripts.market.findings import by_month, ordered
from scripts.market.row_checks import check_rows, kind_of
from scripts.market.series_checks import check_series

# Without these rows there would be no table of bars: they are kept out even where violations are ignored.
UNUSABLE = ("no_stamp", "unreadable_stamp", "ambiguous_hour", "nonexistent_hour", "duplicate_stamp", "unfinished_bar")
MILD = {"empty_row": "info", "unfinished_bar": "warning"}
LISTED = 20


def inspect(frame, *, timeframe, calendar, max_gap, max_abs_log_return, on_violation):
    """``(kept, quarantined, findings)`` of a source's raw bars (see :mod:`scripts.market.sources`).

    ``kept`` are tidy bars; ``quarantined`` has their columns, ``reason`` (``"class: detail"``) and ``found`` (the
    stamp as the source had it); ``findings`` is described in :mod:`scripts.market.findings`. ``on_violation`` is
    quarantine, ignore (only rows that no table can hold are kept out; the findings stay) or fail.

    Raises StudyError under fail when there is a finding of severity error, and when more than half of the rows are
    refused.
    """
    rows, reasons, found, shifts = check_rows(frame, timeframe, calendar, max_abs_log_return)
    found += _about_rows(rows, reasons) + _about_shifts(rows, reasons, shifts)
    refused = np.array([each is not None for each in reasons], bool)
    if on_violation == "ignore":
        refused = np.array([each is not None and kind_of(each) in UNUSABLE for each in reasons], bool)
    _refuse_ruins(rows, reasons, refused, timeframe)
    kept = tidy(rows[~refused])
    found = ordered(found + check_series(kept, timeframe, calendar, max_gap, max_abs_log_return))
    errors = [each for each in found if each["severity"] == "error"]
    if on_violation == "fail" and errors:
        raise StudyError(
            f"the checks found {len(errors)} kinds of errors and on_violation is fail:\n{_listing(errors)}"
        )
    return kept, _quarantine(rows[refused], reasons[refused]), found


def _about_rows(rows, reasons):
    """Findings about refused rows, by class and month."""
    stamps = rows["timestamp"].dt.tz_localize(None).to_numpy("datetime64[us]")
    kinds = np.array([kind_of(each) if each else "" for each in reasons], dtype=object)
    found = []
    for kind in sorted(set(kinds) - {""}):
        places = np.flatnonzero(kinds == kind)
        texts = reasons[places]
        severity = MILD.get(kind, "error")
        found += by_month(kind, severity, stamps[places], lambda month, texts=texts: texts[month[0]].split(": ", 1)[-1])
    return found


def _about_shifts(rows, reasons, shifts):
    """Findings about price levels that changed and stayed."""
    stamps = rows["timestamp"].dt.tz_localize(None).to_numpy("datetime64[us]")
    close = rows["close"].to_numpy("float64")
    good = np.flatnonzero(np.equal(reasons, None))
    before = good[np.searchsorted(good, shifts) - 1] if shifts else []
    ratios = close[shifts] / close[before]

    def detail(month):
        ratio = ratios[month[0]]
        text = f"close times {ratio:.4f} (log return {np.log(ratio):+.2f}), and it stays there; the bar is kept"
        return text + ". Unless prices really moved: a split, a spin-off or another company in unadjusted prices"

    return by_month("level_shift", "error", stamps[shifts], detail)


def _refuse_ruins(rows, reasons, refused, timeframe):
    """Stop where most rows are refused: then the settings are wrong, not the rows."""
    if refused.sum() * 2 <= len(rows) and not refused.all():
        return
    kinds, numbers = np.unique([kind_of(each) for each in reasons[refused]], return_counts=True)
    worst = ", ".join(f"{kind} {number}" for number, kind in sorted(zip(numbers, kinds, strict=True), reverse=True))
    text = f"{refused.sum()} of {len(rows)} rows are refused ({worst})"
    example = reasons[refused][0]
    spacing = rows["timestamp"].diff().median()
    raise StudyError(
        f"{text}; the first because of '{example}'. The rows are {spacing} apart and the timeframe is {timeframe}. "
        "Check the market's timeframe and calendar, and the source's timezone and columns"
    )


def _quarantine(rows, reasons):
    columns = ["timestamp", *(name for name in VALUES if name in rows)]
    table = rows[columns].reset_index(drop=True)
    table["reason"] = reasons.astype(str)
    table["found"] = rows["found"].astype(str).to_numpy() if "found" in rows else ""
    return table.astype({"timestamp": "datetime64[us, UTC]", "reason": "str", "found": "str"})


def _listing(errors):
    lines = [
        f"  {each['start'] or '-'}  {each['class']} x {each['count']}: {each['detail']}" for each in errors[:LISTED]
    ]
    return "\n".join(lines + ([f"  ... and {len(errors) - LISTED} more"] if len(errors) > LISTED else []))
