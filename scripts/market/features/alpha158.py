"""The 158 features of qlib's Alpha158, under qlib's names: shapes of the candle, 29 statistics over five windows."""

from scripts.market import formula_sets

SCOPE = "symbol"


def names():
    """``KMID`` to ``VSUMD60``."""
    return formula_sets.names("alpha158")


def definition():
    """``{name: expression}``."""
    return formula_sets.definition("alpha158")


def compute(bars):
    """The features of every row of ``bars`` as float32, with its index."""
    return formula_sets.compute("alpha158", bars)


def __getattr__(name):
    """LOOKBACK, read from the formulas when it is asked for."""
    if name == "LOOKBACK":
        return formula_sets.lookback("alpha158")
    raise AttributeError(name)
