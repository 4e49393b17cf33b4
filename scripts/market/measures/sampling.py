"""Bars by what was traded instead of by the clock: volume, dollar and tick-imbalance bars.

The functions take ticks (single trades, or short bars taken as such) in order of time and return :class:`Bars`. A
bar ends with the tick that fills it, known at that tick; the ticks after the last full bar are left out.
"""

from dataclasses import dataclass

import numpy as np

from scripts.common.errors import StudyError
from scripts.market.measures import aligned, series, whole_number

FULL = 1 - 1e-9  # a bar whose sum misses its size by rounding only is full


@dataclass(frozen=True)
class Bars:
    """``[bars]`` each: rows of the first and the last tick, prices, and the sums of volume and price times volume."""

    first: np.ndarray
    last: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    amount: np.ndarray

    def __len__(self):
        return len(self.first)


def volume_bars(prices, volumes, size):
    """Bars that end when the volume since their start reaches ``size`` [units of ``volumes``].

    ``prices``, ``volumes``: ``[ticks]``. The last tick counts whole: what it has above ``size`` is not carried on.
    Source: Easley, Lopez de Prado and O'Hara (2012), Journal of Portfolio Management 39; Lopez de Prado (2018),
    Advances in Financial Machine Learning, section 2.3.1. Raises StudyError for a size or a price that is not above
    0, a negative volume, and series of different lengths.
    """
    prices, volumes = _ticks(prices, volumes)
    return _bars(prices, volumes, _fill("size", volumes, size))


def dollar_bars(prices, volumes, size):
    """Bars that end when price times volume since their start reaches ``size`` [currency of ``prices``].

    Their number follows a stock split or a price that doubles less than that of volume bars. Otherwise as
    :func:`volume_bars`, source and errors included.
    """
    prices, volumes = _ticks(prices, volumes)
    return _bars(prices, volumes, _fill("size", prices * volumes, size))


def tick_imbalance_bars(
    prices, volumes=None, expected_ticks=100, tick_span=1000, bar_span=20, bounds=(0.2, 5.0), floor=0.0
):
    r"""Bars that end when buying and selling ticks differ by more than is expected.

    .. math:: b_t = sign(p_t - p_{t-1}), \; b_t = b_{t-1} \text{ if } p_t = p_{t-1}; \qquad
        T^* = \min\{T : |\textstyle\sum_{t \le T} b_t| \ge E[T] \, |E[b]|\}

    E[b], equal to 2 P[b = 1] - 1, is the exponentially weighted mean of the b of all former bars (span
    ``tick_span`` ticks) and E[T] that of their lengths (span ``bar_span`` bars; alpha is 2 / (span + 1) as in
    pandas). The first bar has ``expected_ticks`` ticks and starts both means; b is 0 until the price first moves.
    The definition feeds back on itself, short bars lower E[T] and make bars shorter still, so E[T] is kept within
    ``bounds`` times ``expected_ticks``. When buying and selling balance, E[b] is near 0 and a bar is a tick or two;
    ``floor``, 0 in the source, is the least \|E[b]\|: with :math:`1 / \sqrt{expected\_ticks}` such flow has bars of
    about the expected length, the time in which a random walk gets that far.

    ``prices``: ``[ticks]`` > 0; ``volumes`` default to 1 each. Source: Lopez de Prado (2018), Advances in Financial
    Machine Learning, section 2.3.2.1. Raises StudyError for spans or ticks below 1, bounds or a floor out of range, and
    as :func:`volume_bars`.
    """
    prices, volumes = _ticks(prices, np.ones(len(prices)) if volumes is None else volumes)
    expected_ticks = whole_number("expected_ticks", expected_ticks)
    keep_tick, keep_bar = (
        1 - 2 / (whole_number(name, span) + 1) for name, span in (("tick_span", tick_span), ("bar_span", bar_span))
    )
    if not 0 < bounds[0] <= 1 <= bounds[1] or not 0 <= floor <= 1:
        raise StudyError(f"bounds: {bounds} must be (above 0 and at most 1, at least 1), and floor, {floor}, in [0, 1]")
    signs = _tick_rule(prices)
    balance = np.concatenate([[0.0], np.cumsum(signs)])

    ends, start, length = [], 0, float(expected_ticks)
    end = expected_ticks - 1 if len(prices) >= expected_ticks else None
    imbalance = signs[:expected_ticks].mean()
    while end is not None:
        ticks = end - start + 1
        if ends:  # both means start with the first bar as a whole
            length = keep_bar * length + (1 - keep_bar) * ticks
            imbalance = keep_tick**ticks * imbalance + _decayed(signs[start : end + 1], keep_tick)
        ends.append(end)
        start = end + 1
        expected = np.clip(length, bounds[0] * expected_ticks, bounds[1] * expected_ticks)
        end = _first_crossing(balance, start, expected * max(abs(imbalance), floor), int(expected))
    return _bars(prices, volumes, np.array(ends, dtype="int64"))


def _ticks(prices, volumes):
    prices, volumes = aligned(1, prices=prices, volumes=volumes)
    series("prices", prices, 1, above=0)
    if volumes.min() < 0:
        raise StudyError(f"volumes: {volumes.min():g} in row {volumes.argmin()}, but none may be negative")
    return prices, volumes


def _tick_rule(prices):
    """The sign of the last price change up to each tick, 0 before the first one."""
    moves = np.sign(np.diff(prices, prepend=prices[0]))
    last_move = np.maximum.accumulate(np.where(moves != 0, np.arange(len(moves)), 0))
    return moves[last_move]


def _decayed(signs, keep):
    """What a run of ticks adds to their exponentially weighted mean."""
    return (1 - keep) * float(np.dot(keep ** np.arange(len(signs) - 1, -1, -1), signs))


def _first_crossing(balance, start, threshold, step):
    """The first tick from ``start`` on at which the balance since then is ``threshold`` or more; None if there is none.

    Looks at ever longer stretches, so that a bar costs time by its own length.
    """
    step = max(step, 16)
    begin = start
    while begin < len(balance) - 1:
        reached = np.abs(balance[begin + 1 : begin + 1 + step] - balance[start]) >= threshold * FULL
        if reached.any():
            return begin + int(reached.argmax())
        begin += step
        step *= 2
    return None


def _fill(name, amounts, size):
    """Rows of the last ticks of bars that hold ``size`` each."""
    if not size > 0:
        raise StudyError(f"{name}: {size} is not above 0")
    sums = np.cumsum(amounts)
    ends, start, filled = [], 0, 0.0
    while (end := start + int(np.searchsorted(sums[start:], filled + size * FULL))) < len(sums):
        ends.append(end)
        start, filled = end + 1, sums[end]
    return np.array(ends, dtype="int64")


def _bars(prices, volumes, ends):
    """The bars that end with the ticks ``ends``."""
    first = np.concatenate([[0], ends[:-1] + 1]).astype("int64")[: len(ends)]
    if not len(ends):
        return Bars(first, ends, *(np.empty(0) for _ in range(6)))
    used = slice(0, ends[-1] + 1)
    prices, volumes = prices[used], volumes[used]
    high, low = np.maximum.reduceat(prices, first), np.minimum.reduceat(prices, first)
    volume, amount = np.add.reduceat(volumes, first), np.add.reduceat(prices * volumes, first)
    return Bars(first, ends, prices[first], high, low, prices[ends], volume, amount)
