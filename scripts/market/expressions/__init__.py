"""One language for formulas of prices and volumes: its parser, its evaluator, its spellings.

``parse`` makes a tree of a text, ``evaluate`` computes trees on a :class:`Panel` of bars. docs/expressions.md describes
the language. Two laws hold for every formula: a row depends on no later bar, and computed from a period and the
formula's ``lookback`` before it, it has the very bits that it has on the whole history.
"""

from scripts.market.expressions.analysis import lookback, needs
from scripts.market.expressions.evaluation import evaluate
from scripts.market.expressions.panels import Panel
from scripts.market.expressions.parsing import parse
from scripts.market.expressions.rendering import to_latex, to_text
from scripts.market.expressions.syntax import ExpressionError, Node

__all__ = ["ExpressionError", "Node", "Panel", "evaluate", "lookback", "needs", "parse", "to_latex", "to_text"]
