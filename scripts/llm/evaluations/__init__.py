"""The kinds of evaluation sets: one module each, chosen by ``kind`` in a recipe; those of questions share one.

A kind is a module with

``FILE``
    Whether the set is a file of samples (``job.input.sets``); a kind without one gets None.
``FIGURES``
    ``{name: Figure}``: what is measured of every row, and compared between artifacts row by row.
``evaluate(answerer, path, settings, context) -> (body, rows)``
    ``answerer``: of ``scripts.llm.answering``; ``settings``: the set's, a dict; ``context``: a :class:`Context`.
    ``rows`` is a list of dicts with ``id``, ``group`` (rows of one group are not separate), ``tone`` (that of the note
    in the question, see :func:`tone_of`), ``part``, what people want to read, and the values of the figures, None where
    one is unknown. ``body`` says what goes beyond :func:`summarise` of those rows.

Read at planning time: a kind imports nothing heavier than numpy at its top.
"""

import importlib
import math
from typing import NamedTuple

from scripts.common.errors import StudyError
from scripts.common.statistics import proportions
from scripts.corpus.samples import spread

NOTHING = 1e-15
MODULES = {
    "benchmark": "questions",
    "prompts": "questions",
    "answers": "questions",
    "held_out": "held_out",
    "pairs": "pairs",
    "decisions": "decisions",
    "harness": "harness",
}


class Figure(NamedTuple):
    """A figure of a set: the mean of ``value`` over the rows, weighted by ``weight`` if there is one.

    ``better``: higher, lower, or None where artifacts are not compared by it; ``binary``: the values are 0 and 1.
    """

    value: str
    better: str | None = "higher"
    weight: str | None = None
    binary: bool = False


class Context(NamedTuple):
    """``seed`` of resampling; ``predictions``: ``(symbol, parquet file)`` pairs of an ensemble's predictions."""

    seed: int
    predictions: tuple = ()


def module_name(kind):
    """The name of the module of a kind. Raises StudyError when there is none."""
    if kind not in MODULES:
        raise StudyError(f"there is no kind of evaluation set '{kind}'; there are: {', '.join(sorted(MODULES))}")
    return f"{__name__}.{MODULES[kind]}"


def load(kind):
    """The module of a kind."""
    return importlib.import_module(module_name(kind))


def group_of(meta):
    """What ties a sample to others: a symbol's period where it is of a market, else a computed question, whatever its
    phrasing, a formula or a template."""
    if meta["time"]:
        return f"{meta['entity']}/{meta['group']}"
    return f"{meta['part']}/{meta.get('question') or meta['group']}"


def tone_of(meta):
    """The tone of the note that a question has, or None: whoever misreads a tone is wrong wherever it stands."""
    note = meta.get("note") or {}
    return f"{note['direction']}/{note['tone']}" if "tone" in note else None


def groupings(rows):
    """The names by which rows are tied, one list each: groups and, where rows have notes, their tones."""
    own = [row["group"] for row in rows]
    if not any(row.get("tone") for row in rows):
        return [own]
    return [own, [row.get("tone") or row["group"] for row in rows]]


def tied(hits, rows):
    """That one of :func:`groupings` by which the interval of the share of ``hits`` is the wider."""
    return max(groupings(rows), key=lambda names: _width(proportions.share(hits, names)))


def share(hits, rows):
    """The share of ``hits`` (0/1, one a row) as a dict, with the wider interval of those by :func:`groupings`."""
    return proportions.share(hits, tied(hits, rows))._asdict()


def mean(values, rows, seed, weights=None):
    """The mean of ``values``, one a row, as a dict, with the wider interval of those by :func:`groupings`."""
    return max((proportions.mean(values, each, seed, weights) for each in groupings(rows)), key=_width)._asdict()


def _width(estimate):
    return math.inf if estimate.low is None else estimate.high - estimate.low


def select(samples, *, parts="all", number=None, by="part"):
    """The samples of ``parts`` (names or "all"); of each value of ``meta[by]`` ``number`` at equal distances (None:
    all), in the order of the file.

    Raises StudyError when none is left.
    """
    places = {}
    for place, sample in enumerate(samples):
        if parts == "all" or sample["meta"]["part"] in parts:
            places.setdefault(sample["meta"][by], []).append(place)
    kept = [samples[place] for place in sorted(sum((spread(each, number) for each in places.values()), []))]
    if not kept:
        there = ", ".join(sorted({sample["meta"]["part"] for sample in samples})) or "none"
        raise StudyError(f"an evaluation set has no samples: asked for parts {parts}, the file has {there}")
    return kept


def summarise(rows, figures, seed):
    """``{"rows", "figures", "parts"}`` of a set; every figure with n, groups and a 95 % interval."""
    by_part = {}
    for row in rows:
        by_part.setdefault(row["part"], []).append(row)
    parts = {name: _figures(own, figures, seed) for name, own in sorted(by_part.items())}
    return {"rows": len(rows), "figures": _figures(rows, figures, seed), "parts": parts}


def _figures(rows, figures, seed):
    return {name: estimate(rows, figure, seed) for name, figure in figures.items()}


def estimate(rows, figure, seed):
    """A figure of rows as a dict (value, n, groups, low, high, and effective_n of shares); None where no row has it."""
    known = [row for row in rows if row[figure.value] is not None]
    if not known:
        return None
    values = [row[figure.value] for row in known]
    if figure.binary:
        return share(values, known)
    return mean(values, known, seed, [row[figure.weight] for row in known] if figure.weight else None)


def rounded(value, digits=6):
    """``value`` with all floats in it at so many significant digits: what is stored. ValueError for NaN."""
    if isinstance(value, dict):
        return {name: rounded(each, digits) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each, digits) for each in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a figure is not a finite number")
        # what is left of a difference of equal numbers is no figure, and there is no negative zero
        return float(f"{value:.{digits}g}") if abs(value) > NOTHING else 0.0
    return value
