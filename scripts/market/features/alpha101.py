"""The 101 formulas of Kakushadze (2016), "101 Formulaic Alphas", Wilmott 84: each symbol against all of its market.

Those that neutralise by industry need ``industries``. Without ``amount`` in the bars the typical price stands in for
the volume-weighted one.
"""

from scripts.market import formula_sets

SCOPE = "panel"
OF = "target"
INPUTS = formula_sets.INPUTS


def names():
    """``alpha101_001`` to ``alpha101_101``."""
    return formula_sets.names("alpha101")


def definition():
    """``{name: expression}``."""
    return formula_sets.definition("alpha101")


def compute(bars, **inputs):
    """``timestamp`` and ``{symbol}__{name}`` (float32) of ``{symbol: DataFrame of bars}``."""
    return formula_sets.compute_panel("alpha101", bars, **inputs)


def __getattr__(name):
    """LOOKBACK, read from the formulas when it is asked for."""
    if name == "LOOKBACK":
        return formula_sets.lookback("alpha101")
    raise AttributeError(name)
