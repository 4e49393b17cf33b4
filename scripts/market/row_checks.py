"""Which rows are no bars: each row that cannot be kept gets a reason, ``"class: what is wrong"``.

A verdict depends on the row, on rows beside it in the file, and on at most ``LOOKAHEAD`` later bars.
"""

from datetime import timedelta

import numpy as np

from scripts.common.timeframes import duration
from scripts.market import calendars
from scripts.market.bars import PRICES, VALUES
from scripts.market.findings import finding

EARLIEST, LATEST = np.datetime64("1900-01-01"), np.datetime64("2100-01-01")
OUT_OF_PLACE = np.timedelta64(timedelta(days=7))  # a stamp that leaves its neighbours in the file by more is wrong
ROUNDING = 1e-6  # relative; a high this little below the close is a matter of decimals
LOOKAHEAD = 3  # bars in which a price must come back for a jump to be a bad tick
BROKERS_HOUR = timedelta(hours=1)  # brokers of currencies and metals open and close this much off New York's hours
BACK = 0.25  # of the jump: how near to the former price is "back"


def check_rows(frame, timeframe, calendar, max_abs_log_return):
    """``(frame, reasons, findings, shifts)``: the rows sorted by stamp, why each is refused (None: it is not).

    ``frame`` is a source's raw bars in the order of the file, NaT where there is no stamp. Rows that repeat another one
    in every value are left out. ``findings`` are those about the file's order and repetitions; ``shifts`` the
    positions of bars at which the price level changed by more than the limit and stayed.
    """
    given = frame["reason"].to_numpy(object) if "reason" in frame else np.full(len(frame), None, object)
    reasons = np.where([isinstance(each, str) for each in given], given, None)
    stamps = _stamps(frame)
    _refuse(reasons, np.isnat(stamps), "no stamp: the row has none")
    with np.errstate(invalid="ignore"):
        _refuse(reasons, (stamps < EARLIEST) | (stamps >= LATEST), "implausible date: before 1900 or after 2099")
    descending = _descending(stamps)
    out_of_place = _out_of_place(stamps, descending)
    _refuse(reasons, out_of_place, "stamp out of place: its neighbours in the file are more than a week away")
    found = _order(stamps[~out_of_place & ~np.isnat(stamps)], descending)

    order = np.argsort(np.where(np.isnat(stamps), LATEST, stamps), kind="stable")
    frame, reasons = frame.iloc[order].reset_index(drop=True), reasons[order]
    repeated = _repetitions(frame, reasons)
    if repeated.any():
        stamps = _stamps(frame)[repeated]
        found.append(
            finding(
                "repeated_rows", "info", "equal in every value; one of each is kept", repeated.sum(), *stamps[[0, -1]]
            )
        )
        frame, reasons = frame[~repeated].reset_index(drop=True), reasons[~repeated]
    _duplicates(frame, reasons)
    slack = BROKERS_HOUR if calendar in ("fx", "metals") else timedelta(0)
    _values(frame, reasons, calendars.is_open(calendar, timeframe, _index(frame, reasons), slack))
    _overlaps(frame, reasons, duration(timeframe))
    return frame, reasons, found, _jumps(frame, reasons, max_abs_log_return)


def kind_of(reason):
    """The class of a reason, as findings have it: ``"no value: close"`` is ``no_value``."""
    return reason.split(":")[0].replace(" ", "_")


def _refuse(reasons, rows, text):
    """Give ``text`` (or one text for each row) to the rows that have no reason yet."""
    fresh = np.asarray(rows) & np.equal(reasons, None)
    reasons[fresh] = text if isinstance(text, str) else np.asarray(text, object)[fresh]


def _stamps(frame):
    return frame["timestamp"].dt.tz_localize(None).to_numpy("datetime64[us]")


def _index(frame, reasons):
    """The stamps as an index, NaT for rows already refused: so that no calendar is asked about the year 9999."""
    import pandas as pd

    return pd.DatetimeIndex(frame["timestamp"].where(np.equal(reasons, None)))


def _descending(stamps):
    known = stamps[~np.isnat(stamps)]
    steps = np.diff(known).astype("int64")
    return (steps < 0).sum() > (steps > 0).sum()


def _out_of_place(stamps, descending):
    """Rows whose stamp leaves those before and after it, which follow each other well without it."""
    flags = np.zeros(len(stamps), bool)
    places = np.flatnonzero(~np.isnat(stamps))
    if len(places) < 3:
        return flags
    known = stamps[places][::-1] if descending else stamps[places]
    before, here, after = known[:-2], known[1:-1], known[2:]
    later = (here - after > OUT_OF_PLACE) & (before <= after)
    earlier = (before - here > OUT_OF_PLACE) & (before <= after)
    inner = later | earlier
    flags[places[1:-1]] = inner[::-1] if descending else inner
    return flags


def _order(stamps, descending):
    """What the order of the file is, if not ascending."""
    if descending:
        stamps = stamps[::-1]
    backwards = int((np.diff(stamps) < np.timedelta64(0)).sum())
    if backwards:
        return [
            finding("unsorted", "info", f"{backwards} rows come before an earlier one; the rows were sorted", backwards)
        ]
    if descending:
        return [finding("descending", "info", "the newest row comes first; the rows were sorted", len(stamps))]
    return []


def _repetitions(frame, reasons):
    """Rows that repeat a former one in stamp and values."""
    columns = ["timestamp", *(name for name in VALUES if name in frame)]
    return (frame.duplicated(columns) & frame["timestamp"].notna()).to_numpy() & np.equal(reasons, None)


def _duplicates(frame, reasons):
    """Rows with the same stamp: unknown which is right, unless only the volume differs (an unfinished bar has less)."""
    fresh = np.equal(reasons, None)
    same = fresh & (frame["timestamp"].where(fresh).duplicated(keep=False) & frame["timestamp"].notna()).to_numpy()
    if not same.any():
        return
    rows = frame[same]
    prices = [name for name in (*PRICES, "bid", "ask") if name in frame]
    differing = (rows.groupby("timestamp")[prices].nunique(dropna=False) > 1).any(axis=1)
    contradicting = rows["timestamp"].map(differing).to_numpy(bool)
    places = np.flatnonzero(same)
    flags = np.zeros(len(frame), bool)
    flags[places[contradicting]] = True
    _refuse(reasons, flags, "duplicate stamp: other rows of this stamp have other prices")
    most = rows["volume"].fillna(-1.0).groupby(rows["timestamp"]).transform("idxmax")
    flags = np.zeros(len(frame), bool)
    flags[places[(most != rows.index).to_numpy() & ~contradicting]] = True
    _refuse(reasons, flags, "unfinished bar: another row of this stamp has the same prices and more volume")


def _values(frame, reasons, is_open):
    """Rows by what stands in them, and rows when the market is closed."""
    values = {name: frame[name].to_numpy("float64") for name in VALUES if name in frame}
    opened, high, low, close = (values[name] for name in PRICES)
    unknown = {name: ~np.isfinite(each) for name, each in values.items()}
    empty = unknown["open"] & unknown["high"] & unknown["low"] & unknown["close"]
    _refuse(reasons, empty & ~is_open, "empty row: no prices, and the market was closed")
    for name, rows in unknown.items():
        _refuse(reasons, rows, f"no value: {name}")
    for name in PRICES:
        _refuse(reasons, values[name] <= 0, f"non-positive price: {name}")
    _refuse(reasons, values["volume"] < 0, "negative volume: a volume below 0")
    top, bottom = np.maximum(opened, close), np.minimum(opened, close)
    _refuse(reasons, high < top * (1 - ROUNDING), "ohlc order: the high is below open or close")
    _refuse(reasons, low > bottom * (1 + ROUNDING), "ohlc order: the low is above open or close")
    _refuse(reasons, ~is_open, "off calendar: the market was closed (if there are many: another timezone or calendar?)")


def _overlaps(frame, reasons, step):
    """Bars that begin before the one before them is over."""
    places = np.flatnonzero(np.equal(reasons, None))
    stamps = _stamps(frame)[places].astype("int64")
    length = step // timedelta(microseconds=1)
    close = np.diff(stamps) < length
    if not close.any():
        return
    last, flags = stamps[0], np.zeros(len(frame), bool)
    for place, stamp in zip(places[1:], stamps[1:], strict=True):
        if stamp - last < length:
            flags[place] = True
        else:
            last = stamp
    _refuse(reasons, flags, "overlap: less than one timeframe after the bar before")


def _jumps(frame, reasons, limit):
    """Refuse bad ticks; return the positions of level shifts.

    A close that leaves the last kept one by more than ``limit`` (absolute log return) is a bad tick if the price is
    back within a few bars. If it stays, it is a level shift (split, spin-off, another company) and is kept. The very
    last bar cannot be told and is refused until a bar follows.
    """
    places = np.flatnonzero(np.equal(reasons, None))
    logs = np.log(frame["close"].to_numpy("float64")[places])
    ticks, shifts = set(), []
    for row in np.flatnonzero(np.abs(np.diff(logs)) > limit) + 1:
        base = row - 1
        while base in ticks:
            base -= 1
        jump = logs[row] - logs[base]
        if row in ticks or abs(jump) <= limit:
            continue
        back = np.flatnonzero(np.abs(logs[row + 1 : row + 1 + LOOKAHEAD] - logs[base]) <= BACK * abs(jump))
        if len(back):
            ticks.update(range(row, row + 1 + back[0]))
        elif row == len(logs) - 1:
            reasons[places[row]] = (
                f"unconfirmed jump: log return {jump:+.2f} at the end of the data, kept once a bar confirms it"
            )
        else:
            shifts.append(int(places[row]))
    for row in sorted(ticks):
        reasons[places[row]] = "bad tick: the close jumps by more than the limit and comes back"
    return shifts
