"""The 360 features of qlib's Alpha360: sixty bars of prices and volume as they are, in units of the last one.

Their names are qlib's with ``alpha360_`` before them, since Alpha158 has some of the same names.
"""

from scripts.market import formula_sets

SCOPE = "symbol"


def names():
    """``alpha360_CLOSE59`` to ``alpha360_VOLUME0``."""
    return formula_sets.names("alpha360")


def definition():
    """``{name: expression}``."""
    return formula_sets.definition("alpha360")


def compute(bars):
    """The features of every row of ``bars`` as float32, with its index."""
    return formula_sets.compute("alpha360", bars)


def __getattr__(name):
    """LOOKBACK, read from the formulas when it is asked for."""
    if name == "LOOKBACK":
        return formula_sets.lookback("alpha360")
    raise AttributeError(name)
