"""The bars of a market as arrays, symbol by symbol, and what expressions may ask of them."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from scripts.common.errors import StudyError
from scripts.market.expressions.syntax import GROUP, VARIABLES

PRICES = ("open", "high", "low", "close", "volume")
GROUPS = tuple(name for name, kind in VARIABLES.items() if kind == GROUP)
FACTORS = ("mkt", "smb", "hml")
TYPICAL = "typical price (high + low + close) / 3"


@dataclass(frozen=True, eq=False)
class Panel:
    """The variables of all symbols of a market.

    ``timestamp`` is the union of the symbols' stamps, sorted (datetime64[us], UTC), ``symbols`` their names,
    ``places`` for every symbol where its bars stand in ``timestamp``. ``values`` has each variable as an array [bars,
    symbols] in which row i is the symbol's own i-th bar (a shorter symbol's last bar is repeated: nothing reads it),
    in order F; ``groups`` codes per symbol, -1 for unknown. ``proxies`` says what stands in for a missing variable.
    """

    timestamp: np.ndarray
    symbols: tuple
    places: tuple
    values: dict
    groups: dict
    proxies: dict = field(default_factory=dict)

    @classmethod
    def of(cls, bars, *, industries=None, benchmark=None, factors=None, cap=None):
        """From ``{symbol: DataFrame timestamp open high low close volume [amount]}``, sorted by time.

        ``industries``: ``{symbol: {"sector": ..., "industry": ..., "subindustry": ...}}`` or some of the three.
        ``benchmark``: DataFrame timestamp open close of an index. ``factors``: DataFrame timestamp mkt smb hml, returns
        as fractions. ``cap``: ``{symbol: market capitalisation}``, one number or one per bar of the symbol. Stamps that
        the benchmark or the factors lack are unknown. Raises StudyError where bars lack a column or go back in time.
        """
        if not bars:
            raise StudyError("a panel needs at least one symbol: the mapping of bars is empty")
        own = {symbol: _stamps(frame, symbol) for symbol, frame in bars.items()}
        timestamp = np.unique(np.concatenate(list(own.values())))
        places = tuple(np.searchsorted(timestamp, stamps) for stamps in own.values())
        values, proxies = _own_values(bars)
        for name, table in _tables(benchmark, factors).items():
            values[name] = _stacked([_aligned(table[0], table[1], stamps) for stamps in own.values()])
        if cap is not None:
            values["cap"] = _stacked([_capital(cap, symbol, len(stamps)) for symbol, stamps in own.items()])
        return cls(timestamp, tuple(bars), places, values, _groups(industries, bars), proxies)

    @property
    def available(self):
        """The variables that expressions may use here, a frozenset (returns and advN follow from them)."""
        return frozenset(self.values) | frozenset(self.groups)

    @cached_property
    def whole(self):
        """Whether every symbol has a bar at every stamp."""
        return all(len(each) == len(self.timestamp) for each in self.places)

    def at_stamps(self, own):
        """An array [bars, symbols] moved to ``timestamp``: [stamps, symbols], NaN where a symbol has no bar."""
        if self.whole:
            return own
        moved = self.empty()
        self.put(moved, slice(None), own)
        return moved

    def empty(self):
        """An array [stamps, symbols] to :meth:`put` values in, NaN where a symbol has no bar."""
        shape = (len(self.timestamp), len(self.symbols))
        return np.empty(shape, order="F") if self.whole else np.full(shape, np.nan, order="F")

    def put(self, stamped, columns, own):
        """Write an array [bars, symbols] of the symbols ``columns`` into one [stamps, symbols]."""
        if self.whole:
            stamped[:, columns] = own
            return
        for place, column in enumerate(range(*columns.indices(len(self.symbols)))):
            rows = self.places[column]
            stamped[rows, column] = own[: len(rows), place]

    def at_bars(self, stamped):
        """An array [stamps, symbols] moved to the symbols' own bars, [bars, symbols]."""
        if self.whole:
            return stamped
        return _stacked([stamped[places, column] for column, places in enumerate(self.places)])


def _own_values(bars):
    """The variables that bars have, and what had to stand in for missing ones."""
    values = {}
    for name in PRICES:
        for symbol, frame in bars.items():
            if name not in frame:
                raise StudyError(f"the bars of {symbol} have no column '{name}': expressions need {', '.join(PRICES)}")
        values[name] = _stacked([frame[name].to_numpy("float64") for frame in bars.values()])
    without = [symbol for symbol, frame in bars.items() if "amount" not in frame]
    typical = (values["high"] + values["low"] + values["close"]) / 3
    estimate, volume = typical * values["volume"], values["volume"]
    known = [frame.get("amount") for frame in bars.values()]
    rows = len(volume)
    amount = np.empty_like(volume)
    for column, each in enumerate(known):
        amount[:, column] = estimate[:, column] if each is None else _padded(each.to_numpy("float64"), rows)
    amount[np.isinf(amount)] = np.nan
    traded = np.divide(amount, volume, out=np.full_like(volume, np.nan), where=volume > 0)
    lacking = np.array([each is None for each in known])
    values |= {"amount": amount, "vwap": np.where(lacking, typical, traded)}
    if not without:
        return values, {}
    whose = "the bars have no amount" if len(without) == len(bars) else f"no amount in the bars of {', '.join(without)}"
    return values, {"vwap": f"{TYPICAL}: {whose}", "amount": f"volume * {TYPICAL}: {whose}"}


def _stamps(frame, symbol):
    if "timestamp" not in frame:
        raise StudyError(f"the bars of {symbol} have no column 'timestamp'")
    stamps = _utc(frame["timestamp"])
    if (stamps[1:] <= stamps[:-1]).any():
        raise StudyError(f"the bars of {symbol} are not in order of time, or have a stamp twice: sort them first")
    return stamps


def _utc(column):
    if column.dt.tz is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column.to_numpy().astype("datetime64[us]")


def _tables(benchmark, factors):
    """``{variable: (stamps, values)}`` of the series that all symbols share."""
    tables = {}
    if benchmark is not None:
        tables |= _columns(benchmark, {"open": "benchmark_open", "close": "benchmark_close"}, "the benchmark")
    if factors is not None:
        tables |= _columns(factors, {name: name for name in FACTORS}, "the factors")
    return tables


def _columns(frame, names, what):
    missing = [each for each in ("timestamp", *names) if each not in frame]
    if missing:
        raise StudyError(f"no column {', '.join(missing)} in {what}: it needs timestamp, {', '.join(names)}")
    stamps = _utc(frame["timestamp"])
    if (stamps[1:] <= stamps[:-1]).any():
        raise StudyError(f"{what}: the rows are not in order of time, or a stamp is there twice: sort them first")
    return {name: (stamps, frame[column].to_numpy("float64")) for column, name in names.items()}


def _aligned(stamps, values, wanted):
    """``values`` at the stamps ``wanted``; NaN at those that are missing."""
    if not len(stamps):
        return np.full(len(wanted), np.nan)
    place = np.minimum(np.searchsorted(stamps, wanted), len(stamps) - 1)
    return np.where(stamps[place] == wanted, values[place], np.nan)


def _capital(cap, symbol, rows):
    given = np.asarray(cap.get(symbol, np.nan), "float64")
    if given.ndim and len(given) != rows:
        raise StudyError(f"cap of {symbol} has {len(given)} values for {rows} bars: give one number or one per bar")
    return np.broadcast_to(given, (rows,))


def _groups(industries, bars):
    """``{group: codes per symbol}``, codes in the order of the names; -1 where a symbol's is not known."""
    groups = {}
    for name in GROUPS if industries is not None else ():
        given = [dict(industries.get(symbol) or {}).get(name) for symbol in bars]
        known = sorted({str(each) for each in given if each is not None})
        if known:
            groups[name] = np.array([-1 if each is None else known.index(str(each)) for each in given])
    return groups


def _stacked(columns):
    """Columns of several lengths side by side, in order F, the last value of the shorter ones repeated."""
    rows = max(len(each) for each in columns)
    table = np.empty((rows, len(columns)), order="F")
    for place, each in enumerate(columns):
        table[:, place] = _padded(each, rows)
    table[np.isinf(table)] = np.nan
    return table


def _padded(column, rows):
    missing = rows - len(column)
    return column if not missing else np.concatenate([column, np.full(missing, column[-1] if len(column) else np.nan)])
