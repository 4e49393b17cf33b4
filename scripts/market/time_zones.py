"""Time zones: symbols whose bars are stamped in another zone than those of the rest of the market.

No check of one symbol alone sees such a feed: its bars are whole and in order. But its returns go with those of
related symbols at another lag than 0. Every quarter is judged by its own bars, so that new bars never change what was
said of a former quarter, and so that a feed that changed its zone is found with its dates.
"""

from collections import Counter
from datetime import timedelta

import numpy as np

from scripts.common.periods import iso
from scripts.common.timeframes import duration

CLASS = "time_zone_suspect"
LONGEST_LAG = timedelta(hours=12)
MIN_CORRELATION = 0.30
MIN_EXCESS = 0.15
MIN_BARS = 300
MANY = 40
CLIP = 5.0
RULE = (
    f"by quarter and pair of symbols: correlation of returns at lags of up to {LONGEST_LAG.seconds // 3600} hours; a "
    f"pair is comparable with an absolute correlation of at least {MIN_CORRELATION} at some lag (from {MIN_BARS} bars "
    f"or more), off when the best lag is not 0 and exceeds that at 0 by {MIN_EXCESS} or more; a symbol is suspect when "
    "it is off by one and the same lag with at least half of the symbols that it can be compared with"
)


def unable(timeframe, symbols):
    """Why this check says nothing about a market, as a text; None when it can be made."""
    if symbols < 2:
        return "there is one symbol: nothing to compare it with"
    if duration(timeframe) > LONGEST_LAG:
        return f"bars of {timeframe} are too long to show the time zone of their stamps"
    return None


def suspects(closes, timeframe):
    """Findings of class "time_zone_suspect", in order of time, by the rule in ``RULE``.

    ``closes`` maps each symbol to ``(stamps, close)``: datetime64[us] in UTC, ascending, and float64. Each finding has
    ``symbol``, ``class``, ``severity``, ``start`` and ``end`` (first and last bar of the quarter that were compared),
    ``count`` (bars compared), ``lag_hours`` (positive: later than the peers) and ``detail``. The minority is named;
    that the majority is the one that is off can be, and ``detail`` says so. Bars of less than an hour are
    looked at by the hour. In a market of more than 40 symbols each is compared with 40 of them and with their mean.
    """
    if unable(timeframe, len(closes)):
        return []
    step = max(duration(timeframe), timedelta(hours=1))
    lags = LONGEST_LAG // step
    returns = {symbol: _returns(*bars, step) for symbol, bars in closes.items()}
    quarters = {symbol: _quarters(slots, step) for symbol, (slots, _) in returns.items()}
    findings = []
    for quarter in np.unique(np.concatenate(list(quarters.values()))):
        part = {}
        for symbol, (slots, values) in returns.items():
            rows = slice(*np.searchsorted(quarters[symbol], [quarter, quarter + 1]))
            if len(slots[rows]) >= MIN_BARS:
                part[symbol] = slots[rows], values[rows]
        findings += _judge(part, lags, step) if len(part) > 1 else []
    return findings


def _returns(stamps, close, step):
    """Slots of the grid (int64, multiples of ``step`` since the epoch) and log returns from the slot before."""
    slots = stamps.astype("datetime64[us]").astype("int64") // (step // timedelta(microseconds=1))
    good = np.isfinite(close) & (close > 0)
    slots, close = slots[good], close[good]
    last = np.append(slots[1:] != slots[:-1], True)
    slots, close = slots[last], np.log(close[last])
    joined = np.flatnonzero(np.diff(slots) == 1) + 1
    return slots[joined], close[joined] - close[joined - 1]


def _quarters(slots, step):
    """The quarter of each slot, counted since the epoch."""
    stamps = slots * np.timedelta64(step)
    return stamps.astype("datetime64[us]" if len(slots) else "int64").astype("datetime64[M]").astype("int64") // 3


def _judge(returns, lags, step):
    """The findings of one quarter; ``returns`` maps symbols to slots and returns."""
    first = min(slots[0] for slots, _ in returns.values())
    length = max(slots[-1] for slots, _ in returns.values()) - first + 1
    symbols, x, present = list(returns), np.zeros((length, len(returns))), np.zeros((length, len(returns)))
    for column, (slots, values) in enumerate(returns.values()):
        x[slots - first, column] = _standardised(values)
        present[slots - first, column] = 1.0
    names = _references(len(symbols))
    peers = np.array(names)
    correlations = _lagged(x, present, x[:, peers], present[:, peers], lags)
    if len(symbols) > MANY:
        mean = x.sum(axis=1, keepdims=True) / np.maximum(present.sum(axis=1, keepdims=True), 1)
        against_mean = _lagged(x, present, mean, np.ones_like(mean), lags)
        correlations, names = np.concatenate([correlations, against_mean], axis=2), [*names, -1]
    known = dict(enumerate(symbols)) | {-1: "the market's mean"}
    return [
        _finding(
            symbols[column], lag * step, [known[each] for each in others], levels, returns[symbols[column]][0], step
        )
        for column, lag, others, levels in _attribute(np.abs(correlations), names, lags)
    ]


def _standardised(values):
    """Values in units of a robust deviation, clipped: one violent bar must not decide a correlation."""
    centred = values - np.median(values)
    scale = 1.4826 * np.median(np.abs(centred)) or centred.std() or 1.0
    return np.clip(centred / scale, -CLIP, CLIP)


def _references(n):
    """The columns that all ``n`` are compared with: all of them, or 40 evenly spread ones."""
    return list(range(n)) if n <= MANY else np.linspace(0, n - 1, MANY).round().astype(int).tolist()


def _lagged(x, x_present, y, y_present, lags):
    """Correlations ``[2 * lags + 1, n, k]`` of x at t + lag with y at t, 0 where fewer than MIN_BARS bars meet.

    ``x`` is ``[bars, n]``, ``y`` ``[bars, k]``, both centred and 0 where their ``present`` is 0.
    """
    result = np.zeros((2 * lags + 1, x.shape[1], y.shape[1]))
    bars = len(x)
    for row, lag in enumerate(range(-lags, lags + 1)):
        if abs(lag) >= bars:
            continue
        left, right = slice(max(lag, 0), bars + min(lag, 0)), slice(max(-lag, 0), bars - max(lag, 0))
        both = x_present[left].T @ y_present[right]
        scale = np.sqrt((x[left] ** 2).T @ y_present[right] * (x_present[left].T @ y[right] ** 2))
        enough = (both >= MIN_BARS) & (scale > 0)
        np.divide(x[left].T @ y[right], scale, out=result[row], where=enough)
    return result


def _attribute(heights, names, lags):
    """Whose stamps are off: ``(column, lag, references, (best, at zero))`` of each suspect, most agreed first.

    A pair that is off does not say which of the two is: the symbol that most of its peers contradict is taken first,
    and leaves the comparison, so that it does not make its peers suspect.
    """
    best = heights.argmax(axis=0)
    level = heights[lags]
    height = heights.max(axis=0)
    comparable = height >= MIN_CORRELATION
    for column, name in enumerate(names):
        if name >= 0:
            comparable[name, column] = False  # a symbol and itself
    off = comparable & (best != lags) & (height - level >= MIN_EXCESS)
    suspects = []
    while True:
        ballots = [_ballot(best[row][off[row]], int(comparable[row].sum())) for row in range(len(best))]
        row = max(range(len(ballots)), key=lambda each: (ballots[each][0], ballots[each][1], -each))
        votes, _, chosen = ballots[row]
        if not votes:
            return suspects
        voters = np.flatnonzero(off[row] & (best[row] == chosen))
        suspects.append(
            (
                row,
                int(chosen) - lags,
                [names[each] for each in voters],
                (np.median(height[row, voters]), np.median(level[row, voters])),
            )
        )
        gone = [each for each, name in enumerate(names) if name == row]
        for pairs in (comparable, off):
            pairs[row] = False
            pairs[:, gone] = False


def _ballot(best, comparable):
    """Votes for the lag that most peers name, their share of all peers, and the lag; no votes below a half."""
    if not len(best):
        return 0, 0.0, None
    lag, votes = Counter(best.tolist()).most_common(1)[0]
    return (votes, votes / comparable, lag) if 2 * votes >= comparable else (0, 0.0, None)


def _finding(symbol, shift, others, levels, slots, step):
    height, level = levels
    hours = shift / timedelta(hours=1)
    listed = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
    first, last = (each.astype("datetime64[us]").item() for each in slots[[0, -1]] * np.timedelta64(step))
    return {
        "symbol": symbol,
        "class": CLASS,
        "severity": "warning",
        "start": iso(first),
        "end": iso(last),
        "count": len(slots),
        "lag_hours": hours,
        "detail": (
            f"stamped {abs(hours):g} h {'later' if hours > 0 else 'earlier'} than {listed}: absolute correlation of "
            f"returns {height:.2f} at that lag, {level:.2f} as stamped (medians); one side is off: check the time zone "
            "of its source, and of theirs"
        ),
    }
