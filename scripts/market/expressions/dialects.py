"""The spellings of the language: its own, and those of qlib, of Kakushadze's 101 and of Guotai Junan's 191 formulas.

What a foreign spelling means beyond other names is translated here, see docs/expressions.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from scripts.common.errors import StudyError
from scripts.market.expressions.operators import OPERATORS
from scripts.market.expressions.syntax import NUMBER, SEQUENCE, VARIABLES, apply, number, variable, walk

# Over how many bars a product that refers to its own value before (SELF) is taken.
SELF_BARS = 20


@dataclass(frozen=True)
class Dialect:
    """``functions``: name to operator, or to a function ``(arguments, fail)`` giving operator and arguments.

    ``variables``: name to variable, or to a text in the canonical language. ``case`` is applied to every name before
    it is looked up. ``averages``: whether advN is known. ``converts``: whether a condition may stand for 1 or 0.
    """

    functions: dict
    variables: dict
    case: Callable = str
    averages: bool = True
    converts: bool = True

    def spelled(self, name):
        """A name as it is looked up."""
        return self.case(name)

    def special(self, name):
        """The node of a variable that is written in the canonical language, or of a word of the dialect's own."""
        return _special(self.variables[name])

    def finish(self, node, fail):
        """The tree when all is read: a reference of the formula to itself becomes a product."""
        return _unrolled(node, fail) if any(each == _SELF for each in walk(node)) else node


def find(name):
    """The dialect of a name. Raises StudyError when there is none."""
    if name not in DIALECTS:
        raise StudyError(f"there is no dialect '{name}' of expressions; there are: {', '.join(DIALECTS)}")
    return DIALECTS[name]


_SELF, _SEQUENCE = variable("self"), variable("sequence", SEQUENCE)


@cache
def _special(text):
    from scripts.market.expressions.parsing import parse

    return {"self": _SELF, "sequence": _SEQUENCE}.get(text) or parse(text)


def _unrolled(node, fail):
    """The product over ``SELF_BARS`` bars that a formula proportional to its own value before is."""
    factor = _factor(node)
    if factor is None:
        fail("SELF may only stand where the formula is a multiple of it, as in c ? x * SELF : SELF")
    return apply("product", factor, number(SELF_BARS))


def _factor(node):
    """What the formula's former value is multiplied by; None where it is not multiplied alone."""
    if node == _SELF:
        return number(1)
    if node.operator == "*":
        for one, other in (node.arguments, node.arguments[::-1]):
            if not _has_self(other) and _factor(one) is not None:
                factor = _factor(one)
                return other if factor == number(1) else apply("*", factor, other)
    if node.operator == "?" and not _has_self(node.arguments[0]):
        factors = [_factor(each) for each in node.arguments[1:]]
        if None not in factors:
            return apply("?", node.arguments[0], *factors)
    return None


def _has_self(node):
    return any(each == _SELF for each in walk(node))


def _extreme(elementwise, over_time):
    """MAX and MIN: of a window where the second argument is a whole number above 1, else of two values."""

    def translated(arguments, fail):
        second = arguments[1][0] if len(arguments) == 2 else None
        window = second is not None and second.is_number and second.value >= 2 and not arguments[0][0].is_number
        return (over_time if window else elementwise), arguments

    return translated


def _defaulted(operator, count, *values):
    """An operator whose last arguments may be left out, in this dialect only."""

    def translated(arguments, fail):
        position = arguments[-1][1] if arguments else 0
        missing = [(number(each), position) for each in values[len(arguments) - count :]]
        return operator, arguments + (missing if len(arguments) >= count else [])

    return translated


def _regbeta(arguments, fail):
    """REGBETA on SEQUENCE is the slope in time; on filtered series it is taken over the rows of the filter."""
    if len(arguments) != 3:
        return "regbeta", arguments
    (y, place), (x, _), (window, _) = arguments
    if x == _SEQUENCE:
        return "slope", [arguments[0], arguments[2]]
    if y.operator == x.operator == "filter" and y.arguments[1] == x.arguments[1]:
        return "regbeta", [(y.arguments[0], place), (x.arguments[0], place), (window, place), (y.arguments[1], place)]
    return "regbeta", arguments


def _rolling(operator):
    """An operator of qlib: its window 0, all bars since the first, has no end to its lookback."""

    def translated(arguments, fail):
        if len(arguments) > 1 and any(each.is_number and each.value < 1 for each, _ in arguments[1:2]):
            fail("windows below 1 (since the first bar, or exponential) are not of this language")
        return operator, arguments

    return translated


def _table(text):
    """``{name: operator}`` of a text of ``name:operator`` or, where they are the same, ``name``."""
    return {each.split(":")[0]: each.split(":")[-1] for each in text.split()}


CANONICAL = {name: name for name in OPERATORS if name.isidentifier() and name != "neg"}

_QLIB_WINDOWS = _table(
    "Ref:delay Delta:delta Mean:mean Sum:sum Std:stddev Max:ts_max Min:ts_min Rank:ts_rank IdxMax:ts_argmax "
    "IdxMin:ts_argmin Quantile:quantile Slope:slope Rsquare:rsquare Resi:resi"
)
QLIB = (
    _table("Abs:abs Log:log Sign:sign Power:^ Greater:max Less:min Add:+ Sub:- Mul:* Div:/ Corr:correlation")
    | _table("Cov:covariance Gt:> Ge:>= Lt:< Le:<= Eq:== Ne:!= And:&& Or:|| Not:! If:?")
    | {name: _rolling(operator) for name, operator in _QLIB_WINDOWS.items()}
)

ALPHA101 = _table(
    "abs log sign sqrt rank scale indneutralize delay delta sum product stddev correlation covariance decay_linear "
    "ts_min ts_max ts_argmin ts_argmax ts_rank signedpower:signed_power"
) | {"min": _extreme("min", "ts_min"), "max": _extreme("max", "ts_max")}

ALPHA191 = _table(
    "ABS:abs LOG:log SIGN:sign RANK:rank FILTER:filter SUM:sum MEAN:mean MA:mean STD:stddev PROD:product "
    "CORR:correlation COV:covariance TSMAX:ts_max TSMIN:ts_min TSRANK:ts_rank DELTA:delta WMA:wma COUNT:count "
    "DECAYLINEAR:decay_linear REGRESI:regresi SUMIF:sumif HIGHDAY:highday LOWDAY:lowday"
) | {
    "DELAY": _defaulted("delay", 1, 1),
    "SMA": _defaulted("sma", 2, 2),
    "MAX": _extreme("max", "ts_max"),
    "MIN": _extreme("min", "ts_min"),
    "REGBETA": _regbeta,
}

_TURNS = {
    "DTM": "open <= delay(open, 1) ? 0 : max(high - open, open - delay(open, 1))",
    "DBM": "open >= delay(open, 1) ? 0 : max(open - low, open - delay(open, 1))",
    "TR": "max(max(high - low, abs(high - delay(close, 1))), abs(low - delay(close, 1)))",
    "HD": "high - delay(high, 1)",
    "LD": "delay(low, 1) - low",
}

DIALECTS = {
    "canonical": Dialect(CANONICAL, {name: name for name in VARIABLES}, converts=False),
    "qlib": Dialect(
        QLIB,
        {f"${name}": name for name in ("open", "high", "low", "close", "volume", "amount", "vwap")},
        averages=False,
    ),
    "alpha101": Dialect(
        ALPHA101,
        {name: name for name, kind in VARIABLES.items() if kind == NUMBER}
        | {f"indclass.{name}": name for name in ("sector", "industry", "subindustry")},
        case=str.lower,
    ),
    "alpha191": Dialect(
        ALPHA191,
        {name.upper(): name for name in ("open", "high", "low", "close", "volume", "amount", "vwap")}
        | {"RET": "returns", "MKT": "mkt", "SMB": "smb", "HML": "hml", "SELF": "self", "SEQUENCE": "sequence"}
        | {"BANCHMARKINDEXOPEN": "benchmark_open", "BANCHMARKINDEXCLOSE": "benchmark_close"}
        | _TURNS,
        case=str.upper,
        averages=False,
    ),
}
