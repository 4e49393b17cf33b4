"""Feature sets made of the catalogue's formulas: what alpha101, alpha158, alpha191, alpha360 and forex575 share.

A feature is named so that no two sets share a name: Alpha158 keeps qlib's names, Alpha360's have the family before
them, and numbered formulas are ``{family}_{number}``.
"""

import functools
import re

import numpy as np

from scripts.common.job import progress
from scripts.market import formulas

# The optional inputs of a market that formulas may need.
INPUTS = ("industries", "benchmark", "factors")


@functools.cache
def definition(family):
    """``{name of the feature: expression}`` of the formulas of a family that compute."""
    return {_name(each): each.expression for each in formulas.load(family) if each.expression}


def names(family):
    """The names of the features of a family, a tuple."""
    return tuple(definition(family))


@functools.cache
def trees(family):
    """``{name of the feature: tree of its expression}``."""
    return {name: formulas.parse(expression) for name, expression in definition(family).items()}


@functools.cache
def lookback(family):
    """How many bars before a row its features may depend on, a fifth to spare for bars that a symbol misses."""
    from scripts.market import expressions

    return 20 + max(expressions.lookback(tree) for tree in trees(family).values()) * 6 // 5


def compute(family, bars):
    """The features of every row of one symbol's bars as float32 columns, with its index: finite, or NaN."""
    import pandas as pd

    if not len(bars):
        return pd.DataFrame(index=bars.index, columns=list(names(family)), dtype="float32")
    values, lacking, _ = _evaluate(family, {"": bars}, {})
    if lacking:
        raise ValueError(f"{family} has formulas that need more than the bars of one symbol: {lacking}")
    return pd.DataFrame(_table([each[:, 0] for each in values.values()]), index=bars.index, columns=list(values))


def compute_panel(family, bars, **inputs):
    """``timestamp`` and ``{symbol}__{name}`` (float32) of ``{symbol: DataFrame of bars}``, on the union of stamps.

    ``inputs``: see ``INPUTS``; industries as ``{symbol: {group: name}}``, the benchmark and the factors as DataFrames.
    Formulas whose inputs are missing have no columns; the job's progress names them, and those in which the typical
    price stands in for the volume-weighted one.
    """
    import pandas as pd

    from scripts.market import expressions

    values, lacking, panel = _evaluate(family, bars, inputs)
    for needs, own in lacking.items():
        progress.info("%d formulas left out, the market has no %s: %s", len(own), needs, ", ".join(own))
    for variable, what in panel.proxies.items():
        own = [name for name in values if variable in expressions.needs(trees(family)[name])]
        if own:
            progress.info("%d formulas have a proxy, %s is the %s: %s", len(own), variable, what, ", ".join(own))
    arrays = [each[:, column] for column in range(len(bars)) for each in values.values()]
    columns = [f"{symbol}__{name}" for symbol in bars for name in values]
    table = pd.DataFrame(_table(arrays), columns=columns, copy=False)
    table.insert(0, "timestamp", pd.to_datetime(panel.timestamp, utc=True).as_unit("us"))
    return table


def _evaluate(family, bars, inputs):
    """``({name: array [stamps, symbols]}, {what is missing: names of formulas}, panel)``."""
    from scripts.market import expressions

    panel = expressions.Panel.of(bars, **inputs)
    chosen, lacking = {}, {}
    for name, tree in trees(family).items():
        missing = expressions.needs(tree) - panel.available
        if missing:
            lacking.setdefault(" and ".join(sorted(missing)), []).append(name)
        else:
            chosen[name] = tree
    return expressions.evaluate(chosen, panel), lacking, panel


def _table(columns):
    """Columns of one length as a float32 matrix; what a float32 cannot hold is unknown."""
    table = np.empty((len(columns[0]), len(columns)), "float32")
    with np.errstate(over="ignore"):
        for place, each in enumerate(columns):
            table[:, place] = each
    table[~np.isfinite(table)] = np.nan
    return table


def _name(formula):
    """The name of the feature that a formula is."""
    number = re.search(r"\.\D*(\d+)$", formula.id)
    if formula.family == "alpha158":
        return formula.name
    return f"alpha360_{formula.name}" if formula.family == "alpha360" else f"{formula.family}_{int(number[1]):03d}"
