"""Findings: what was noticed about bars, as entries of quality.json.

A finding is ``{"class", "severity", "start", "end", "count", "detail"}``: a class in words; ``error`` (rows were
refused or a limit was passed), ``warning`` (look at it) or ``info`` (so that it is said); first and last stamp as ISO
text, None where it concerns the whole file; how many rows or bars; one example in words.

Findings about rows are put together by month, each month by itself, so that a new month changes none of the old ones.
"""

import numpy as np

from scripts.common.periods import iso

SEVERITIES = ("error", "warning", "info")


def finding(kind, severity, detail, count=1, start=None, end=None):
    """One finding; ``start`` and ``end`` are stamps (numpy, pandas or datetime) or None."""
    return {
        "class": kind,
        "severity": severity,
        "start": as_iso(start),
        "end": as_iso(start if end is None else end),
        "count": int(count),
        "detail": detail,
    }


def by_month(kind, severity, stamps, detail):
    """Findings of one class, one for each month of ``stamps`` (datetime64 array, UTC, sorted; NaT last).

    ``detail`` is a text or a function of the positions of a month's stamps.
    """
    stamps = np.asarray(stamps, "datetime64[us]")
    found = []
    for rows in months_of(stamps):
        text = detail if isinstance(detail, str) else detail(rows)
        known = not np.isnat(stamps[rows[0]])
        first, last = (stamps[rows[0]], stamps[rows[-1]]) if known else (None, None)
        found.append(finding(kind, severity, text, len(rows), first, last))
    return found


def months_of(stamps):
    """Arrays of positions, one for each run of equal months in ``stamps`` (datetime64 array)."""
    months = np.asarray(stamps, "datetime64[us]").astype("datetime64[M]").astype("int64")
    if len(months) == 0:
        return []
    return np.split(np.arange(len(months)), np.flatnonzero(months[1:] != months[:-1]) + 1)


def as_iso(stamp):
    """ISO text of a stamp in UTC; None of None."""
    return None if stamp is None else iso(np.datetime64(stamp, "us").item())


def ordered(found):
    """Findings by their first stamp, those of the whole file first."""
    return sorted(found, key=lambda each: (each["start"] or "", each["class"], each["end"] or ""))


def counts(found):
    """How many findings of each severity."""
    return {severity: sum(each["severity"] == severity for each in found) for severity in SEVERITIES}
