"""How the state of a market row is said: which facts, with which numbers, in which words and order."""

import math

import numpy as np

from scripts.corpus import templates

FORMATS = {
    "percent": lambda value: f"{100 * value:+z.3f} %",
    "level": lambda value: f"{100 * value:z.3f} %",
    "number": lambda value: f"{value:z.2f}",
    "index": lambda value: f"{value:z.1f}",
}
# the facts without which a row is not used: the others are told where they are known
NEEDED = ("roc_24", "roc_168", "rsi_14", "sma_ratio_50", "sma_cross_20_50", "adx_14", "hvol_20", "hvol_ratio_20_168")


def known_rows(features):
    """Places of the rows in which all of ``NEEDED`` is known."""
    return np.flatnonzero(np.all([~np.isnan(features[name]) for name in NEEDED], axis=0))


def facts(features, row):
    """``{name: value}`` of the facts that are known in a row, as floats."""
    found = {name: float(features[name][row]) for name in templates.load("states")["facts"]}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def write(name, value):
    """A fact's value as text, in its format."""
    return FORMATS[templates.load("states")["facts"][name]["format"]](value)


def word(name, value):
    """What a fact's value is called."""
    for limit, said in templates.load("states")["facts"][name]["words"]:
        if limit is None or value < limit:
            return said
    raise AssertionError(f"resources/templates/states.yaml: the last of the words of {name} has a limit")


def draw_labels(rng):
    """``{name: label}``: one name of every fact, which a sample then keeps to."""
    return {name: rng.choice(each["label"]) for name, each in templates.load("states")["facts"].items()}


def choose(known, number, rng, needed=()):
    """``number`` facts in random order, ``needed`` among them, from as many groups as possible."""
    groups = templates.load("states")["facts"]
    rest = [name for name in known if name not in needed]
    rng.shuffle(rest)
    taken = {groups[name]["group"] for name in needed}
    # facts of groups that are not told of yet come first
    fresh = []
    for name in rest:
        if groups[name]["group"] not in taken:
            taken.add(groups[name]["group"])
            fresh.append(name)
    chosen = list(needed) + (fresh + [name for name in rest if name not in fresh])[: max(number - len(needed), 0)]
    rng.shuffle(chosen)
    return chosen


def describe(symbol, timeframe, stamp, price, values, labels, rng):
    """The state as a text: an opening line and the facts ``values`` (``{name: value}``, in their order)."""
    phrases = templates.load("states")
    opening = rng.choice(phrases["openings"]).format(
        symbol=symbol, timeframe=timeframe, stamp=stamp, price=write_price(price)
    )
    layout = rng.choice(list(phrases["joins"]))
    forms = phrases["joins"][layout]
    form = rng.choice(forms)
    lines = []
    for name, value in values.items():
        each = rng.choice(forms) if layout == "sentences" else form
        lines.append(each.format(label=labels[name], value=write(name, value), word=word(name, value)))
    return opening + "\n" + (" " if layout == "sentences" else "\n").join(lines)


def write_price(price):
    """A price with six significant digits, and at least two decimals."""
    decimals = max(2, 5 - math.floor(math.log10(price))) if price > 0 else 2
    return f"{price:.{decimals}f}"
