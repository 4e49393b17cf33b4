"""The 191 short-term price-volume formulas of Guotai Junan Securities (2017): each symbol against all of its market.

Some need the ``benchmark`` and one the Fama-French ``factors``. Without ``amount`` in the bars the typical price stands
in for the volume-weighted one.
"""

from scripts.market import formula_sets

SCOPE = "panel"
OF = "target"
INPUTS = formula_sets.INPUTS


def names():
    """``alpha191_001`` to ``alpha191_191``."""
    return formula_sets.names("alpha191")


def definition():
    """``{name: expression}``."""
    return formula_sets.definition("alpha191")


def compute(bars, **inputs):
    """``timestamp`` and ``{symbol}__{name}`` (float32) of ``{symbol: DataFrame of bars}``."""
    return formula_sets.compute_panel("alpha191", bars, **inputs)


def __getattr__(name):
    """LOOKBACK, read from the formulas when it is asked for."""
    if name == "LOOKBACK":
        return formula_sets.lookback("alpha191")
    raise AttributeError(name)
