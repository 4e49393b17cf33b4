"""Measures: statistics of returns, bars, trades and factors that are code and not expressions over bars.

Conventions of all modules. Returns are fractions (0.01 is one percent), logarithmic where a docstring says so.
A volatility is a standard deviation per bar; times the square root of the bars of a year it is one per year.
Losses, spreads and drawdowns are positive numbers. Where a quotient would divide by 0 the result is NaN, unknown.

Functions of a series through time want every value: they raise StudyError for values that are not finite, since
leaving out rows would join bars that are no neighbours. Functions across symbols (``factors``) take NaN as unknown
and leave it out of its row.

The functions below check what the modules are given. pandas, scipy and arch are imported where they are used.
"""

import numpy as np

from scripts.common.errors import StudyError


def series(name, values, least=2, above=None):
    """``values`` as float64 ``[n]``.

    Raises StudyError, which calls them ``name``, unless there are ``least`` or more, all finite and, where ``above``
    is given, all larger than that.
    """
    array = np.asarray(values, dtype="float64")
    if array.ndim != 1:
        raise StudyError(f"{name}: one value per row is expected, not an array of shape {array.shape}")
    if len(array) < least:
        raise StudyError(f"{name}: {len(array)} rows are too few, at least {least} are needed")
    unknown = np.flatnonzero(~np.isfinite(array))
    if len(unknown):
        raise StudyError(
            f"{name}: {len(unknown)} of {len(array)} values are not finite, the first in row {unknown[0]}; "
            "leave these rows out or take a span without them"
        )
    if above is not None and array.min(initial=np.inf) <= above:
        row = int(np.argmin(array))
        raise StudyError(f"{name}: {array[row]:g} in row {row}, but every value must be above {above:g}")
    return array


def aligned(least=2, above=None, **values):
    """Several :func:`series` of one length, in the order given. Raises StudyError also when lengths differ."""
    arrays = [series(name, each, least, above) for name, each in values.items()]
    if len({len(array) for array in arrays}) > 1:
        lengths = ", ".join(f"{name} has {len(array)}" for name, array in zip(values, arrays, strict=True))
        raise StudyError(f"the series must have the same number of rows, but {lengths}")
    return arrays


def cross_sections(**values):
    """Arrays ``[symbols]`` or ``[rows, symbols]`` as float64 ``[rows, symbols]``, all of one shape, NaN kept.

    Raises StudyError when the shapes differ, and for infinite values, which are no unknowns but mistakes.
    """
    arrays = {name: np.asarray(each, dtype="float64") for name, each in values.items()}
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) > 1 or len(next(iter(shapes))) not in (1, 2):
        seen = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise StudyError(f"arrays [symbols] or [rows, symbols] of one shape are expected, not {seen}")
    for name, array in arrays.items():
        if np.isinf(array).any():
            raise StudyError(f"{name}: {np.isinf(array).sum()} values are infinite; unknown values are NaN")
    return [np.atleast_2d(array) for array in arrays.values()]


def whole_number(name, value, least=1):
    """``value`` as an int. Raises StudyError unless it is a whole number of ``least`` or more."""
    if int(value) != value or value < least:
        raise StudyError(f"{name}: {value} is not a whole number of {least} or more")
    return int(value)
