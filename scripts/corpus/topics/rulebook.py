"""Figures of securities and banking rules: resources/parameters/securities_rules.yaml."""

from scripts.corpus import parameters
from scripts.corpus.figures import Input

FILE = "securities_rules"
# an input of every question on a rule: the year whose rules it asks for
YEAR = Input(lambda rng, drawn: parameters.load(FILE)["year"], str)


def rule(name):
    """The figure of a rule, in the unit that the file names."""
    return parameters.load(FILE)["figures"][name]["value"]


def relation(value, limit):
    """How a value compares with a limit, in words."""
    return "more than" if value > limit else "less than" if value < limit else "exactly"


def decide(yes):
    """An answer of choice."""
    return "yes" if yes else "no"
