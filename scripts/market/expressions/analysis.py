"""What can be said of an expression without computing it."""

from functools import cache

from scripts.market.expressions.operators import OPERATORS
from scripts.market.expressions.syntax import AVERAGE_VOLUME, apply, number, substitute, variable, walk


def lookback(node):
    """How many bars before a row the row depends on, an integer."""
    return _lookback(expanded(node))


def needs(node):
    """The variables that an expression is made of, a frozenset: returns are made of close, advN of volume."""
    return frozenset(each.value for each in walk(expanded(node)) if each.operator == "variable")


@cache
def expanded(node):
    """The tree with returns and advN written out."""
    return substitute(node, _definition)


@cache
def _definition(node):
    if node.operator != "variable":
        return None
    if node.value == "returns":
        close = variable("close")
        return apply("-", apply("/", close, apply("delay", close, number(1))), number(1))
    volume = AVERAGE_VOLUME.fullmatch(node.value)
    return apply("mean", variable("volume"), number(int(volume[1]))) if volume else None


@cache
def _lookback(node):
    below = max((_lookback(each) for each in node.arguments), default=0)
    reach = OPERATORS[node.operator].reach if node.arguments else None
    return below + (reach(node.arguments) if reach else 0)
