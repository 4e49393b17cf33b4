"""The operators of the language: what they take, how far they look back, how they are computed.

The kinds of arguments: x a series of numbers, c a condition, g a group; n a window and d a number of bars, whole
numbers that are written out; m, a, q plain numbers that are written out.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scripts.market import windows
from scripts.market.expressions import across, averages, elementwise, orders, regressions
from scripts.market.expressions.syntax import CONDITION, NUMBER


@dataclass(frozen=True)
class Operator:
    """One operator. ``takes`` names its arguments by kind; the last ones may be left out where ``defaults`` has them.

    ``compute`` is called with arrays for x and c, codes for g, and numbers. Where there is a ``prepare``, it makes of
    the first arguments, those of the kinds ``shares``, what several formulas may share, and ``compute`` gets that
    instead of them. ``reach`` says how many bars before a row the operator itself looks at, ``least`` how short its
    window may be. ``across``: it looks across the symbols of a stamp. ``check`` says what is wrong with its arguments.
    """

    takes: tuple[str, ...]
    compute: Callable
    usage: str = ""
    gives: str = NUMBER
    prepare: Callable | None = None
    shares: str = "xc"
    reach: Callable | None = None
    least: int = 1
    defaults: tuple = ()
    across: bool = False
    check: Callable | None = None

    def kinds(self, count):
        """The kinds of ``count`` arguments, defaults filled in; None where it does not take so many."""
        for takes in self.takes:
            required = len(takes) - sum(each is not None for each in self.defaults)
            if required <= count <= len(takes):
                return takes
        return None


def _window(takes, usage, compute, prepare=None, least=1, **settings):
    """An operator over a window of n rows, the row itself included."""
    places = {len(each): each.index("n") for each in takes}

    def reach(given):
        return int(given[places[len(given)]].value) - 1

    return Operator(takes, compute, usage, prepare=prepare, least=least, reach=reach, **settings)


def _elementwise(takes, compute, usage="", gives=NUMBER):
    return Operator((takes,), compute, usage, gives)


def _sma_check(nodes):
    n, m = nodes[1].value, nodes[2].value
    return None if 0 < m <= n else f"the weight must be above 0 and at most n, {m:g} is not (n = {n:g})"


def _regresi_check(nodes):
    regressors, n = len(nodes) - 2, nodes[-1].value
    return None if n >= regressors + 2 else f"{regressors} regressors need a window of {regressors + 2} bars or more"


def _regresi(y, *rest):
    return regressions.residual(y, rest[:-1], rest[-1], averages.known_rows(rest[-1]))


OPERATORS = {
    "+": _elementwise("xx", elementwise.bounded(np.add)),
    "-": _elementwise("xx", elementwise.bounded(np.subtract)),
    "*": _elementwise("xx", elementwise.bounded(np.multiply)),
    "/": _elementwise("xx", elementwise.bounded(np.divide)),
    "^": _elementwise("xx", elementwise.power),
    "neg": _elementwise("x", np.negative),
    "<": _elementwise("xx", elementwise.compare(np.less), gives=CONDITION),
    "<=": _elementwise("xx", elementwise.compare(np.less_equal), gives=CONDITION),
    ">": _elementwise("xx", elementwise.compare(np.greater), gives=CONDITION),
    ">=": _elementwise("xx", elementwise.compare(np.greater_equal), gives=CONDITION),
    "==": _elementwise("xx", elementwise.compare(np.equal), gives=CONDITION),
    "!=": _elementwise("xx", elementwise.compare(np.not_equal), gives=CONDITION),
    "&&": _elementwise("cc", elementwise.both, gives=CONDITION),
    "||": _elementwise("cc", elementwise.either, gives=CONDITION),
    "!": _elementwise("c", elementwise.negate, gives=CONDITION),
    "?": _elementwise("cxx", elementwise.choose),
    "abs": _elementwise("x", np.abs, "(x)"),
    "log": _elementwise("x", elementwise.bounded(np.log), "(x)"),
    "sign": _elementwise("x", np.sign, "(x)"),
    "sqrt": _elementwise("x", np.sqrt, "(x)"),
    "exp": _elementwise("x", elementwise.bounded(np.exp), "(x)"),
    "min": _elementwise("xx", np.minimum, "(a, b)"),
    "max": _elementwise("xx", np.maximum, "(a, b)"),
    "signed_power": _elementwise("xx", elementwise.signed_power, "(x, a)"),
    "filter": _elementwise("xc", elementwise.keep, "(x, condition)"),
    "rank": Operator(("x",), across.rank, "(x)", across=True),
    "scale": Operator(("xa",), across.scale, "(x) or (x, a)", across=True, defaults=(None, 1)),
    "indneutralize": Operator(("xg",), across.indneutralize, "(x, group)", across=True),
    "delay": Operator(("xd",), windows.lag, "(x, d)", reach=lambda given: int(given[1].value)),
    "delta": Operator(("xd",), averages.delta, "(x, d)", reach=lambda given: int(given[1].value)),
    "sum": _window(("xn",), "(x, n)", averages.total, windows.sums),
    "mean": _window(("xn",), "(x, n)", averages.mean, averages.sums_and_values),
    "stddev": _window(("xn",), "(x, n)", averages.deviation, windows.moments, 2),
    "product": _window(("xn",), "(x, n)", averages.product, averages.products),
    "ts_min": _window(("xn",), "(x, n)", orders.extreme, orders.lowest),
    "ts_max": _window(("xn",), "(x, n)", orders.extreme, orders.highest),
    "ts_argmin": _window(("xn",), "(x, n)", orders.position, orders.lowest_places),
    "ts_argmax": _window(("xn",), "(x, n)", orders.position, orders.highest_places),
    "ts_rank": _window(("xn",), "(x, n)", orders.rank, orders.Ranks),
    "quantile": _window(("xnq",), "(x, n, q)", orders.quantile, orders.Ordered, shares="xn"),
    "correlation": _window(("xxn",), "(x, y, n)", regressions.correlation, windows.pairs, 2),
    "covariance": _window(("xxn",), "(x, y, n)", regressions.covariance, windows.pairs, 2),
    "decay_linear": _window(("xn",), "(x, n)", averages.decay_linear, averages.aged_sums),
    "wma": _window(("xn",), "(x, n)", averages.wma),
    "sma": Operator(
        ("xnm",),
        averages.sma,
        "(x, n, m)",
        reach=lambda given: averages.memory(given[1].value, given[2].value) - 1,
        check=_sma_check,
    ),
    "regbeta": _window(("xxn", "xxnc"), "(y, x, n) or (y, x, n, condition)", regressions.beta, least=2),
    "regresi": _window(
        ("xxn", "xxxn", "xxxxn"), "(y, x1, n) with up to three x", _regresi, least=3, check=_regresi_check
    ),
    "slope": _window(("xn",), "(x, n)", regressions.slope, regressions.timed, 2),
    "rsquare": _window(("xn",), "(x, n)", regressions.rsquare, regressions.timed, 2),
    "resi": _window(("xn",), "(x, n)", regressions.time_residual, regressions.timed, 2),
    "count": _window(("cn",), "(condition, n)", averages.total, windows.sums),
    "sumif": _window(("xnc",), "(x, n, condition)", averages.sumif),
    "highday": _window(("xn",), "(x, n)", orders.age, orders.highest_places),
    "lowday": _window(("xn",), "(x, n)", orders.age, orders.lowest_places),
}

# What numbers alone are worked out with; the rest of the operators needs at least one series.
FOLDED = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "^": lambda a, b: a**b,
    "neg": lambda a: -a,
    "abs": abs,
    "log": math.log,
    "sign": lambda a: float((a > 0) - (a < 0)),
    "sqrt": math.sqrt,
    "exp": math.exp,
    "min": min,
    "max": max,
    "signed_power": lambda a, b: math.copysign(abs(a) ** b, a) if a else 0.0 * abs(a) ** b,
}
