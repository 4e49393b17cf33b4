"""The tree of an expression: nodes of numbers, variables and operators, each distinct tree one object.

Nodes are interned: building a tree that exists already gives the existing one. So equality is identity, hashing costs
nothing, and what several formulas share is recognised as shared.
"""

import re

from scripts.common.errors import StudyError

NUMBER, CONDITION, GROUP, SEQUENCE = "number", "condition", "group", "sequence"

# The variables of the language and their types; advN, for any N, is a number too.
VARIABLES = {
    **dict.fromkeys(("open", "high", "low", "close", "volume", "amount", "vwap", "returns", "cap"), NUMBER),
    **dict.fromkeys(("sector", "industry", "subindustry"), GROUP),
    **dict.fromkeys(("benchmark_open", "benchmark_close", "mkt", "smb", "hml"), NUMBER),
}
AVERAGE_VOLUME = re.compile(r"adv([1-9]\d*)")

_interned = {}


class ExpressionError(StudyError):
    """A text that is no expression: the message names what is wrong and where, and points at it."""

    def __init__(self, problem, text, position):
        start = max(0, position - 60)
        line = ("..." if start else "") + text[start : position + 60] + ("..." if position + 60 < len(text) else "")
        caret = " " * (position - start + (3 if start else 0)) + "^"
        super().__init__(f"{problem} (at character {position + 1})\n  {line}\n  {caret}")
        self.problem, self.text, self.position = problem, text, position

    def __reduce__(self):
        return ExpressionError, (self.problem, self.text, self.position)


class Node:
    """A part of an expression; made by :func:`number`, :func:`variable` and :func:`apply` only.

    ``operator`` is ``"number"``, ``"variable"`` or the name of an operator, ``value`` the number or the variable's
    name, ``arguments`` the nodes that an operator is applied to, ``type`` what the node is: number, condition or group.
    """

    __slots__ = ("operator", "value", "arguments", "type")

    def __new__(cls, operator, value, arguments, type):
        """The one node of that content."""
        key = (operator, value, arguments)
        node = _interned.get(key)
        if node is None:
            node = super().__new__(cls)
            for name, content in zip(cls.__slots__, (operator, value, arguments, type), strict=True):
                object.__setattr__(node, name, content)
            node = _interned.setdefault(key, node)
        return node

    def __setattr__(self, name, value):
        raise AttributeError("nodes do not change")

    def __reduce__(self):
        return Node, (self.operator, self.value, self.arguments, self.type)

    def __repr__(self):
        from scripts.market.expressions.rendering import to_text

        return f"parse({to_text(self)!r})"

    @property
    def is_number(self):
        """Whether it is a number as written."""
        return self.operator == "number"


def number(value):
    """The node of a number."""
    return Node("number", float(value) + 0.0, (), NUMBER)


def variable(name, type=None):
    """The node of a variable."""
    return Node("variable", name, (), type or VARIABLES.get(name, NUMBER))


def apply(operator, *arguments, type=NUMBER):
    """The node of an operator applied to nodes."""
    return Node(operator, None, tuple(arguments), type)


def walk(node, seen=None):
    """Every distinct node of a tree once, arguments before what uses them."""
    seen = set() if seen is None else seen
    if node not in seen:
        seen.add(node)
        for each in node.arguments:
            yield from walk(each, seen)
        yield node


def substitute(node, replace, memo=None):
    """The tree with ``replace(node)`` in place of every node for which that is not None."""
    memo = {} if memo is None else memo
    if node not in memo:
        new = replace(node)
        if new is None:
            new = node
            if node.arguments:
                new = apply(
                    node.operator, *(substitute(each, replace, memo) for each in node.arguments), type=node.type
                )
        memo[node] = new
    return memo[node]
