"""Drawn and computed figures: what inputs are drawn from, how precisely figures are written, questions made of both.

A computed figure is written with at least four significant digits, so that who works it out without rounding and who
reads the text agree within a thousandth; the value that is kept is the one that is written.
"""

from collections.abc import Callable
from dataclasses import dataclass

from scripts.corpus.questions import Question, Solution, Step

PATIENCE = 10_000


@dataclass(frozen=True)
class Input:
    """An input of a question: ``draw(rng, drawn)`` gives a JSON value and ``write(value)`` its text.

    ``drawn``: the inputs that precede it.
    """

    draw: Callable
    write: Callable


def rounded(value):
    """``(value, decimals)``: two decimals from 10 on, three from 1 on, four from 0.1 on, five below."""
    size = abs(value)
    decimals = 2 if size >= 10 else 3 if size >= 1 else 4 if size >= 0.1 else 5
    # a rounded value that has whole hundredths is written with two decimals; + 0.0 takes the sign off a zero
    value = round(value, decimals) + 0.0
    return value, 2 if round(value, 2) == value else decimals


def plain(value, decimals=None):
    """A number with thousands separated: ``decimals`` of them, or as many as :func:`rounded` says."""
    if decimals is None:
        value, decimals = rounded(value)
    return f"{round(value, decimals) + 0.0:,.{decimals}f}"


def dollars(value):
    """An amount in dollars, whole ones without cents: "$1,250", "$12.50", "-$3.125"."""
    value, decimals = rounded(value)
    return f"{'-' if value < 0 else ''}${abs(value):,.{0 if value == int(value) else decimals}f}"


def percent(value, decimals=None):
    """A percentage, given as a number of percent: "5 %", "6.25 %", "-0.4375 %", or with so many decimals."""
    if decimals is None:
        value, decimals = rounded(value)
        decimals = 0 if value == int(value) else decimals
    return f"{plain(value, decimals)} %"


def cents(value):
    """A price in dollars and cents: "$12.50"."""
    return f"${value:,.2f}"


def whole(value):
    """A whole number with thousands separated."""
    return f"{value:,d}"


def amounts(low, high, step=1):
    """Whole dollars in [low, high], multiples of ``step``."""
    return Input(_multiples(low, high, step), dollars)


def wholes(low, high, step=1):
    """Whole numbers in [low, high], multiples of ``step``."""
    return Input(_multiples(low, high, step), whole)


def prices(low, high):
    """Dollars and cents in [low, high]."""
    return Input(_fractions(low, high, 2), cents)


def near(name, low, high):
    """Dollars and cents in [low, high] times another input."""
    return Input(lambda rng, drawn: round(drawn[name] * rng.uniform(low, high), 2), cents)


def rates(low, high):
    """Percentages in [low, high] with two decimals at the most."""
    return Input(_fractions(low, high, 2), lambda value: f"{value:g} %")


def numbers(low, high, decimals=2):
    """Numbers in [low, high], written with as many decimals."""
    return Input(_fractions(low, high, decimals), lambda value: plain(value, decimals))


def choices(texts):
    """One of the keys of a dictionary, written as its value, or one of a sequence as it is."""
    keys = list(texts)
    return Input(
        lambda rng, drawn: rng.choice(keys), lambda value: str(texts[value] if isinstance(texts, dict) else value)
    )


def several(count, each):
    """A list of ``count`` draws of an :class:`Input`, written "1, 2 and 3"."""
    return Input(
        lambda rng, drawn: [each.draw(rng, drawn) for _ in range(count)], lambda all: listed(map(each.write, all))
    )


def listed(texts):
    """Texts in a row: "one, two and three"."""
    *first, last = texts
    return f"{', '.join(first)} and {last}" if first else last


# how the number of an answer is written, by its unit; units that are words follow the number
WRITERS = {
    "USD": dollars,
    "%": percent,
    "": plain,
    "choice": str,
    "rate": "{:.5f}".format,
    "lots": "{:,.2f}".format,
    "shares": whole,
    "days": whole,
    "basis points": plain,
}
WORDS = ("lots", "shares", "days", "basis points")
# units whose answers come rounded, as their rules demand
EXACT = ("choice", "rate", "lots", "shares", "days")


def question(name, steps, work, accept=None, parameters=(), names=(), **inputs):
    """A :class:`Question` of a function that works on its inputs.

    ``work(**values)`` gives ``(value, unit, names of the steps, {name: text})``: the texts of all steps may use what it
    says, the inputs as they are shown, and ``value``. Or ``(value, unit, {step: {name: text}})``: each step has texts
    of its own. ``inputs``: for every input its :class:`Input`; they are drawn again until ``accept(**values)``. A
    number is kept as it is written.
    """

    def draw(rng):
        for _ in range(PATIENCE):
            values = {}
            for key, each in inputs.items():
                values[key] = each.draw(rng, values)
            if accept is None or accept(**values):
                return values
        raise ValueError(f"question {name}: none of {PATIENCE} draws is acceptable")

    def show(values):
        return {key: each.write(values[key]) for key, each in inputs.items()}

    def solve(values):
        value, unit, reasoning, *shared = work(**values)
        written = WRITERS[unit](value)
        texts = show(values) | (shared[0] if shared else {}) | {"value": written}
        own = dict(reasoning) if not shared else dict.fromkeys(reasoning, {})
        kept = value if unit in EXACT else rounded(value)[0]
        text = f"{written} {unit}" if unit in WORDS else written
        return Solution(kept, unit, tuple(Step(each, texts | said) for each, said in own.items()), text)

    return Question(name, steps, draw, solve, show, parameters, names)


def _multiples(low, high, step):
    return lambda rng, drawn: step * rng.randint(-(-low // step), high // step)


def _fractions(low, high, decimals):
    scale = 10**decimals
    return lambda rng, drawn: rng.randint(round(low * scale), round(high * scale)) / scale
