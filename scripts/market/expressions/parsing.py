"""From text to tree: tokens, precedence, types, constants."""

import difflib
import math
import re

from scripts.market.expressions import dialects
from scripts.market.expressions.operators import FOLDED, OPERATORS
from scripts.market.expressions.syntax import (
    AVERAGE_VOLUME,
    CONDITION,
    GROUP,
    NUMBER,
    VARIABLES,
    ExpressionError,
    apply,
    number,
    variable,
)

TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)|(?P<name>\$?[A-Za-z_][\w.]*)"
    r"|(?P<sign>&&|\|\||[<>=!]=|[-+*/^<>!?:(),])"
)
STRENGTH = {"||": 1, "&&": 2, **dict.fromkeys(("<", "<=", ">", ">=", "==", "!="), 3)}
STRENGTH |= {"+": 4, "-": 4, "*": 5, "/": 5}
# The longest window.
LONGEST = 1_000_000
WANTED = {
    "x": "a number",
    "c": "a condition",
    "g": "a group (sector, industry or subindustry)",
    "n": "a window (a number of bars written out)",
    "d": "a number of bars written out",
    "m": "a weight written out",
    "a": "a number written out",
    "q": "a share from 0 to 1 written out",
}


def parse(text, dialect="canonical"):
    """The tree of an expression.

    ``dialect``: ``canonical``, or the spelling of ``qlib``, ``alpha101`` or ``alpha191``. Raises
    :class:`ExpressionError`, which names the position, where ``text`` is no expression; StudyError where there is no
    such dialect.
    """
    reader = _Reader(text, dialects.find(dialect))
    try:
        node = reader.whole()
    except RecursionError:
        raise ExpressionError("nested too deeply", text, 0) from None
    return node


class _Reader:
    """Reads one text. What it has read are pairs ``(node, position)``."""

    def __init__(self, text, dialect):
        if not isinstance(text, str):
            raise ExpressionError(f"an expression is a text, not {type(text).__name__}", str(text), 0)
        self.text, self.dialect, self.place = text, dialect, 0
        self.tokens = list(self._tokens())

    def fail(self, problem, position):
        raise ExpressionError(problem, self.text, min(position, len(self.text)))

    def _tokens(self):
        place = 0
        while place < len(self.text):
            found = TOKEN.match(self.text, place)
            if not found:
                hint = {"=": ": equality is written ==", "&": ": and is written &&", "|": ": or is written ||"}
                self.fail(f"'{self.text[place]}' is no sign of the language{hint.get(self.text[place], '')}", place)
            if found.lastgroup != "space" and found["space"] is None:
                kind = "number" if found["number"] else "name" if found["name"] else "sign"
                yield kind, found[0], place
            place = found.end()
        yield "end", "", len(self.text)

    def next(self, *signs):
        """The next token if it is one of ``signs`` (or any, when none are given), else None."""
        token = self.tokens[self.place]
        if signs and (token[0] != "sign" or token[1] not in signs):
            return None
        self.place += 1
        return token

    def expect(self, sign, why):
        kind, text, position = self.tokens[self.place]
        if not self.next(sign):
            self.fail(f"'{sign}' is missing {why}, here is {_shown(kind, text)}", position)

    def whole(self):
        node, position = self.expression()
        kind, text, place = self.tokens[self.place]
        if kind != "end":
            self.fail(f"an operator or the end should be here, not {_shown(kind, text)}", place)
        if node.type not in (NUMBER, CONDITION):
            self.fail(f"a {node.type} alone is no formula", position)
        return self.dialect.finish(node, lambda problem: self.fail(problem, position))

    def expression(self):
        condition = self.binary(1)
        mark = self.next("?")
        if not mark:
            return condition
        chosen = self.expression()
        self.expect(":", "of ? :")
        return self.apply("?", [condition, chosen, self.expression()], mark[2])

    def binary(self, least):
        left = self.unary()
        while True:
            kind, text, position = self.tokens[self.place]
            strength = STRENGTH.get(text, 0) if kind == "sign" else 0
            if strength < least:
                return left
            self.place += 1
            left = self.apply(text, [left, self.binary(strength + 1)], position)

    def unary(self):
        sign = self.next("-", "+", "!")
        if not sign:
            return self.power()
        operand = self.unary()
        if sign[1] == "+":
            return self.typed(operand, "x", "+"), sign[2]
        return self.apply("neg" if sign[1] == "-" else "!", [operand], sign[2])

    def power(self):
        base = self.atom()
        sign = self.next("^")
        return self.apply("^", [base, self.unary()], sign[2]) if sign else base

    def atom(self):
        kind, text, position = self.next()
        if kind == "number":
            if not math.isfinite(float(text)):
                self.fail(f"{text} is too large for a number", position)
            return number(text), position
        if kind == "name":
            return self.call(text, position) if self.next("(") else self.variable(text, position)
        if text == "(":
            node, _ = self.expression()
            self.expect(")", f"for the '(' at character {position + 1}")
            return node, position
        return self.fail(f"a number, a variable or an operator is missing, here is {_shown(kind, text)}", position)

    def variable(self, text, position):
        name = self.dialect.spelled(text)
        known = self.dialect.variables
        if name in known:
            given = known[name]
            return (variable(given) if given in VARIABLES else self.dialect.special(name)), position
        if self.dialect.averages and AVERAGE_VOLUME.fullmatch(name):
            return variable(name), position
        if name in self.dialect.functions:
            self.fail(f"'{text}' is an operator and needs its arguments in brackets", position)
        return self.fail(f"there is no variable '{text}'{_nearest(name, known)}", position)

    def call(self, text, position):
        name = self.dialect.spelled(text)
        arguments = []
        if not self.next(")"):
            arguments.append(self.expression())
            while self.next(","):
                arguments.append(self.expression())
            self.expect(")", f"for the '(' of {text}")
        given = self.dialect.functions.get(name)
        if given is None:
            hint = ": a variable takes no brackets" if name in self.dialect.variables else ""
            self.fail(f"there is no operator '{text}'{hint or _nearest(name, self.dialect.functions)}", position)
        if callable(given):
            given, arguments = given(arguments, lambda problem: self.fail(problem, position))
        return self.apply(given, arguments, position, text)

    def apply(self, name, arguments, position, written=None):
        """The node of an operator, its arguments checked, those left out filled in, constants worked out."""
        operator = OPERATORS[name]
        kinds = operator.kinds(len(arguments))
        if kinds is None:
            self.fail(
                f"{written or name} takes {operator.usage}, not {len(arguments)} argument{'s' * (len(arguments) != 1)}",
                position,
            )
        arguments = arguments + [(number(each), position) for each in operator.defaults[len(arguments) :]]
        nodes = [self.typed(each, kind, written or name, operator) for each, kind in zip(arguments, kinds, strict=True)]
        problem = operator.check(nodes) if operator.check else None
        if problem:
            self.fail(f"{written or name}: {problem}", position)
        if all(each.is_number for each in nodes):
            return self.constant(name, nodes, position), position
        return apply(name, *nodes, type=operator.gives), position

    def typed(self, argument, kind, name, operator=None):
        """The node of an argument, which must be of a kind; numbers of bars are rounded down."""
        node, position = argument
        if kind == "x" and node.type == CONDITION and self.dialect.converts:
            return apply("?", node, number(1), number(0))
        fits = {"x": node.type == NUMBER, "c": node.type == CONDITION, "g": node.type == GROUP}
        if not fits.get(kind, node.is_number):
            given = "a number that changes from bar to bar" if node.type == NUMBER else f"a {node.type}"
            hint = ""
            if kind == "x" and node.type == CONDITION:
                hint = ": write (condition ? 1 : 0) where a number is meant"
            if kind == "c" and node.type == NUMBER:
                given, hint = "a number", ": compare it with something"
            self.fail(f"{_called(name)} needs {WANTED[kind]} here, not {given}{hint}", position)
        if kind in "nd":
            rows, least = math.floor(node.value), operator.least if kind == "n" else 0
            if rows < 0 and kind == "d":
                self.fail(f"{name} over {node.value:g} bars would look into the future", position)
            if rows > LONGEST:
                self.fail(f"{name} over more than {LONGEST:,} bars", position)
            if rows < least:
                self.fail(f"{name} needs at least {least} bar{'s' * (least > 1)}, not {node.value:g}", position)
            return number(rows)
        if kind == "q" and not 0 <= node.value <= 1:
            self.fail(f"{name} needs {WANTED[kind]} here, not {node.value:g}", position)
        return node

    def constant(self, name, nodes, position):
        """The number that an operator makes of numbers alone."""
        if name not in FOLDED:
            self.fail(f"{_called(name)} is given numbers alone, it would be the same on every bar", position)
        try:
            value = FOLDED[name](*(each.value for each in nodes))
        except (ZeroDivisionError, OverflowError, ValueError):
            value = None
        if not isinstance(value, float) or not math.isfinite(value):
            self.fail(f"{_called(name)} of these numbers has no value", position)
        return number(value)


def _called(name):
    return {"?": "? :", "neg": "-"}.get(name, name)


def _shown(kind, text):
    return "the end" if kind == "end" else f"'{text}'"


def _nearest(name, known):
    close = difflib.get_close_matches(name, list(known), 1, 0.5)
    return f", did you mean '{close[0]}'?" if close else f"; there are: {', '.join(sorted(known))}"
