"""Computing a formula, or a part of one, from numbers: what is given, every step, and the result.

The numbers are those of a small made-up panel on which the formula is really evaluated. What the panel's operators
over time or across symbols give is given as a number; the arithmetic above it is what has to be computed.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from scripts.market import expressions
from scripts.market.expressions import syntax

ARITHMETIC = frozenset(
    {"+", "-", "*", "/", "^", "neg", "abs", "log", "sign", "sqrt", "exp", "min", "max", "signed_power"}
)
MOST_TERMS = 6
MOST_CHARACTERS = 160
SYMBOLS = ("AA", "BB", "CC", "DD", "EE", "FF")
BARS = 700
# of numbers that are given, and of the numbers in steps
DIGITS, STEP_DIGITS = 6, 12


@dataclass(frozen=True)
class Computation:
    """One computation. ``terms``: ``{text: value as text}``; ``steps``: lines; ``value``: the result, a float."""

    expression: str
    whole: bool
    terms: dict
    steps: tuple
    value: float


def parts(tree):
    """The parts of a formula that can be computed from given numbers, as nodes, the whole of it last if it can."""
    found = []
    for node in syntax.walk(tree):
        if node.operator not in ARITHMETIC:
            continue
        terms = _terms(node)
        if 1 <= len(terms) <= MOST_TERMS and len(expressions.to_text(node)) <= MOST_CHARACTERS:
            found.append(node)
    return found


def evaluate(nodes):
    """``{term: float64 array}`` of the terms of ``nodes`` on the made-up panel, symbols and rows in one dimension."""
    wanted = {expressions.to_text(term): term for node in nodes for term in _terms(node)}
    values = expressions.evaluate(wanted, _panel())
    return {name: array.ravel() for name, array in values.items()}


def draw(node, values, rng, whole):
    """A :class:`Computation` of ``node`` at a random place where all of its terms are known, or None."""
    names = [expressions.to_text(term) for term in _terms(node)]
    for _ in range(8):
        place = rng.randrange(len(next(iter(values.values()))))
        given = {name: float(values[name][place]) for name in names}
        if not all(np.isfinite(value) for value in given.values()):
            continue
        written = {name: write(value, DIGITS) for name, value in given.items()}
        steps, value = _work_out(node, {name: float(text) for name, text in written.items()})
        if value is not None and 1e-9 < abs(value) < 1e12:
            return Computation(expressions.to_text(node), whole, written, tuple(steps), value)
    return None


def write(value, digits=8):
    """A number as text with so many significant digits."""
    return f"{value:.{digits}g}"


def _terms(node):
    """What has to be given to compute ``node``: the largest parts below it that are no arithmetic and no numbers."""
    found = {}

    def visit(each):
        if each.operator in ARITHMETIC:
            for argument in each.arguments:
                visit(argument)
        elif not each.is_number:
            found[each] = True

    visit(node)
    return list(found)


def _work_out(node, given):
    """``(lines, value)``: every operation below ``node`` once, innermost first; a value that is unknown is None."""
    values, lines = {}, []
    for each in syntax.walk(node):
        name = expressions.to_text(each)
        if each.is_number:
            values[each] = each.value
        elif name in given:
            values[each] = given[name]
        elif each.operator in ARITHMETIC and all(argument in values for argument in each.arguments):
            try:
                result = expressions.parse(_filled(each, values, repr))
            except expressions.ExpressionError:  # the root of a negative number, say
                return lines, None
            if not result.is_number or not np.isfinite(result.value):
                return lines, None
            values[each] = result.value
            # differences of nearly equal numbers lose digits: steps show more of them than results
            shown = _filled(each, values, lambda value: write(value, STEP_DIGITS))
            lines.append(f"{shown} = {write(result.value, STEP_DIGITS)}")
    return lines, values.get(node)


def _filled(node, values, form):
    """A node's text with the values of its arguments, each as ``form`` writes it."""
    memo = {argument: syntax.number(float(form(values[argument]))) for argument in node.arguments}
    return expressions.to_text(syntax.substitute(node, memo.get))


@cache
def _panel():
    """Seeded bars of six symbols that move together in part."""
    import pandas as pd

    rng = np.random.default_rng(20160101)
    common = rng.standard_normal(BARS)
    stamps = pd.date_range("2021-01-01", periods=BARS, freq="h", tz="UTC").as_unit("us")
    bars = {}
    for number, symbol in enumerate(SYMBOLS):
        move = 0.006 * (0.6 * common + 0.8 * rng.standard_normal(BARS))
        close = (20.0 + 15 * number) * np.exp(np.cumsum(move))
        opened = np.r_[close[0], close[:-1]] * np.exp(0.001 * rng.standard_normal(BARS))
        spread = np.exp(0.003 * np.abs(rng.standard_normal((2, BARS))))
        high, low = np.maximum(opened, close) * spread[0], np.minimum(opened, close) / spread[1]
        volume = np.round(np.exp(8 + 0.4 * rng.standard_normal(BARS) + 30 * np.abs(move)))
        amount = volume * (high + low + 2 * close) / 4
        columns = {"open": opened, "high": high, "low": low, "close": close, "volume": volume, "amount": amount}
        bars[symbol] = pd.DataFrame({"timestamp": stamps, **columns})
    return expressions.Panel.of(bars)
