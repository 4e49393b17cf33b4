"""What operators do with each value by itself; the values are arrays, or numbers where a formula has a number.

A condition is an array of 1 (holds), 0 (does not) and NaN (unknown). What is not a finite number is unknown.
"""

import numpy as np

# 1.5 * 2^12: added to a number between -2048 and 2048, it leaves multiples of 2^-40 of it.
GRID = 6144.0


def finite(values):
    """``values`` with NaN for what is infinite, changed in place."""
    infinite = np.isinf(values)
    if infinite.any():
        values[infinite] = np.nan
    return values


def gridded(values):
    """``values`` (of which none is beyond 2048) rounded to multiples of 2^-40, about 1e-12.

    So sums of ranks are exact, and correlations that are equal in arithmetic are equal to the bit: what is ranked or
    compared afterwards does not depend on rounding errors.
    """
    return (values + GRID) - GRID


def bounded(function):
    """A function of NumPy, what it makes infinite being unknown."""

    def computed(*values):
        return finite(function(*values))

    return computed


def power(a, b):
    """a^b, unknown where either is (0^0 is 1, but unknown^0 is not)."""
    result = np.square(a) if np.ndim(b) == 0 and b == 2 else np.power(a, b)
    return finite(_where_known(result, a, b))


def signed_power(a, b):
    """sign(a) |a|^b."""
    return finite(_where_known(np.sign(a) * np.power(np.abs(a), b), a, b))


def compare(relation):
    """The condition that a relation of NumPy holds, unknown where either side is."""

    def compared(a, b):
        return _where_known(relation(a, b).astype(np.float64), a, b)

    return compared


def both(a, b):
    """Whether two conditions hold; where one does not, the other may be unknown."""
    return np.where((a == 0) | (b == 0), 0.0, a * b)


def either(a, b):
    """Whether one of two conditions holds; where one does, the other may be unknown."""
    return np.where((a == 1) | (b == 1), 1.0, a + b)


def negate(a):
    """Whether a condition does not hold."""
    return 1.0 - a


def choose(condition, a, b):
    """``a`` where the condition holds, ``b`` where it does not."""
    return _where_known(np.where(condition == 1, a, b), condition)


def keep(a, condition):
    """``a`` where the condition holds, else unknown."""
    return np.where(condition == 1, a, np.nan)


def _where_known(result, *given):
    for each in given:
        unknown = np.isnan(each)
        if unknown.any():
            result[np.broadcast_to(unknown, result.shape)] = np.nan
    return result
