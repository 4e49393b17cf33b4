"""Calendar periods: the grain of feature files and of rebuilds. Read at planning time: imports nothing heavy.

A period is named "2021-02" (month), "2021-Q1" (quarter) or "2021" (year); the name tells its length.
"""

import re
from datetime import UTC, datetime

LENGTH = {"month": 1, "quarter": 3, "year": 12}


def stamp(value):
    """A datetime in UTC from an ISO text (a naive one is UTC), a date or a datetime."""
    if not isinstance(value, datetime):
        value = datetime.fromisoformat(str(value))
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def iso(moment):
    """The text of a UTC moment as the files have it: 2021-02-20T00:00:00Z."""
    return stamp(moment).strftime("%Y-%m-%dT%H:%M:%SZ")


def period_of(moment, partition):
    """The name of the period of ``partition`` (month, quarter, year) that contains ``moment``."""
    moment = stamp(moment)
    if partition == "year":
        return f"{moment.year:04d}"
    if partition == "quarter":
        return f"{moment.year:04d}-Q{(moment.month + 2) // 3}"
    return f"{moment.year:04d}-{moment.month:02d}"


def bounds(period):
    """The first moment of a period and the first moment after it, both datetimes in UTC."""
    match = re.fullmatch(r"(\d{4})(?:-(?:Q([1-4])|(\d{2})))?", period)
    if not match:
        raise ValueError(f"'{period}' is no period: expected 2021, 2021-Q1 or 2021-02")
    year, quarter, month = (int(part) if part else None for part in match.groups())
    first, length = (3 * quarter - 2, 3) if quarter else (month, 1) if month else (1, 12)
    end = year * 12 + first - 1 + length
    return datetime(year, first, 1, tzinfo=UTC), datetime(end // 12, end % 12 + 1, 1, tzinfo=UTC)


def between(start, end, partition):
    """The names of the periods that overlap the half-open interval [start, end), in order."""
    start, end = stamp(start), stamp(end)
    names = []
    while start < end:
        names.append(period_of(start, partition))
        start = bounds(names[-1])[1]
    return names


def months_between(start, end):
    """The names of the months that overlap [start, end): ["2021-01", ...]."""
    return between(start, end, "month")
