"""Stamps of whatever form, read as UTC; what cannot be read gets a reason instead of a guess."""

import numpy as np

from scripts.common.errors import StudyError

# Forms that can be read in one way only, after ISO 8601. 03/04/2020 cannot: it needs a timestamp_format.
FORMS = (
    *("%Y%m%d %H:%M", "%Y%m%d %H:%M:%S", "%Y%m%d %H%M%S", "%Y.%m.%d %H:%M", "%Y.%m.%d %H:%M:%S", "%Y.%m.%d"),
    *("%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d", "%Y-%m-%d %I-%p", "%d.%m.%Y %H:%M:%S.%f"),
    *("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y"),
)
EPOCHS = {"s": 1_000_000, "ms": 1_000, "us": 1}  # microseconds
OFFSET = r":\d{2}.*(?:Z|[+-]\d{2}:?\d{2})$|T.*(?:Z|[+-]\d{2})$"
UNREADABLE = "unreadable stamp"


def to_utc(values, zone="UTC", form=None, daily=False):
    """``(stamps, reasons)``: a DatetimeIndex in UTC (microseconds; NaT: unknown) and an object array of texts or None.

    ``values`` is a column as read: text, numbers (epochs in s, ms, us or ns by their size, or digits such as
    20200131), dates or datetimes. Stamps that name no zone are in ``zone``; an hour that its clocks show twice or
    never has no stamp. Mixed forms and mixed offsets are read one by one. ``form`` is a strptime format or s, ms, us.
    ``daily``: stamps become midnight UTC of the date that stands there, whatever its zone.

    Raises StudyError when more than half of the values cannot be read.
    """
    import pandas as pd

    values = pd.Series(values).reset_index(drop=True)
    local, aware = _read(values, form, daily)
    reasons = np.full(len(values), None, dtype=object)
    reasons[(local.isna() & aware.isna()).to_numpy()] = UNREADABLE
    lost = int((reasons == UNREADABLE).sum())
    if lost * 2 > len(values):
        examples = ", ".join(repr(each) for each in values[reasons == UNREADABLE].head(3).tolist())
        raise StudyError(
            f"{lost} of {len(values)} stamps cannot be read, such as {examples}. "
            "Set source.timestamp_format, for example '%d/%m/%Y %H:%M', or s, ms or us for epochs"
        )
    if daily:
        dates = local.fillna(aware.dt.tz_localize(None)).dt.floor("D")
        return pd.DatetimeIndex(dates).tz_localize("UTC").as_unit("us"), reasons
    moved, problems = _localize(pd.DatetimeIndex(local), zone)
    reasons = np.where(reasons == None, problems, reasons)  # noqa: E711  (elementwise)
    stamps = pd.Series(moved).fillna(aware)
    return pd.DatetimeIndex(stamps).as_unit("us"), reasons


def _read(values, form, daily):
    """Stamps without a zone (naive) and stamps with one (UTC), each NaT where the other has it or none does."""
    import pandas as pd

    none = pd.Series(pd.NaT, index=values.index, dtype="datetime64[us]")
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        # the date of a daily bar is that of its own zone
        return none, (
            values.dt.tz_localize(None).dt.tz_localize("UTC") if daily else values.dt.tz_convert("UTC")
        ).dt.as_unit("us")
    if pd.api.types.is_datetime64_dtype(values):
        return values.dt.as_unit("us"), none.dt.tz_localize("UTC")
    texts = values.astype("str").str.strip().str.replace(r"\s*(?:UTC|GMT)$", "+00:00", regex=True)
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    if form in EPOCHS:
        return none, _epochs(numbers * EPOCHS[form])
    if form:
        return _by_format(texts, form, daily)
    digits = texts.str.fullmatch(r"\d{8}|\d{12}|\d{14}").fillna(False) & texts.str.match("19|20").fillna(False)
    local = none.mask(digits, _by_digits(texts.where(digits)))
    aware = _epochs(_microseconds(numbers.mask(local.notna())))
    rest = texts.where(local.isna() & aware.isna())
    with_offset = rest.str.contains(OFFSET, regex=True).fillna(False)
    if daily:
        rest = rest.where(~with_offset, rest.str.slice(0, 10))
    else:
        offsets = pd.to_datetime(rest.where(with_offset), format="ISO8601", utc=True, errors="coerce").dt.as_unit("us")
        aware = aware.fillna(offsets)
    return local.fillna(_by_forms(rest.where(aware.isna()))), aware


def _by_format(texts, form, daily):
    import pandas as pd

    none = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[us]")
    if "%z" not in form.lower():
        return pd.to_datetime(texts, format=form, errors="coerce").dt.as_unit("us"), none.dt.tz_localize("UTC")
    read = pd.to_datetime(texts, format=form, errors="coerce", utc=True).dt.as_unit("us")
    if not daily:
        return none, read
    plain = texts.str.replace(r"\s*(Z|[A-Z]{3,4}|[+-]\d{2}:?\d{2})$", "", regex=True)
    form = form.replace("%z", "").replace("%Z", "").strip()
    return pd.to_datetime(plain, format=form, errors="coerce").dt.as_unit("us"), none.dt.tz_localize("UTC")


def _by_digits(texts):
    """20200131, 202001311530 and 20200131153000."""
    import pandas as pd

    return pd.to_datetime(
        texts.str.pad(14, side="right", fillchar="0"), format="%Y%m%d%H%M%S", errors="coerce"
    ).dt.as_unit("us")


def _by_forms(texts):
    """Each text by the first form that fits it."""
    import pandas as pd

    read = pd.to_datetime(texts, format="ISO8601", errors="coerce").dt.as_unit("us")
    for form in FORMS:
        rest = read.isna() & texts.notna()
        if not rest.any():
            break
        read = read.fillna(pd.to_datetime(texts[rest], format=form, errors="coerce").dt.as_unit("us"))
    return read


def _microseconds(numbers):
    """Epochs in seconds, milli-, micro- or nanoseconds as microseconds, each by its size (good for 1973 to 2100)."""
    size = numbers.abs()
    scale = np.select([size < 1e11, size < 1e14, size < 1e17], [1e6, 1e3, 1.0], 1e-3)
    return numbers * scale


def _epochs(microseconds):
    import pandas as pd

    sane = microseconds.where(microseconds.abs() < 2.5e17)  # beyond the year 9000 lies nothing but mistakes
    return pd.to_datetime(sane.round(), unit="us", utc=True, errors="coerce").dt.as_unit("us")


def _localize(local, zone):
    """Naive stamps of a zone as UTC, and why some have none."""
    import pandas as pd

    stamps = local.tz_localize(zone, ambiguous="NaT", nonexistent="NaT").tz_convert("UTC")
    problems = np.full(len(local), None, dtype=object)
    lost = stamps.isna() & local.notna()
    if lost.any():
        shifted = local.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward")
        problems[lost & shifted.isna()] = f"ambiguous hour: the clocks of {zone} show it twice"
        problems[lost & shifted.notna()] = f"nonexistent hour: the clocks of {zone} skip it"
    return pd.DatetimeIndex(stamps), problems
