"""Feature sets: one module each, chosen by its name in the config.

A feature set is a module of this package with

``SCOPE``
    ``"symbol"``: it looks at the bars of one symbol. ``"panel"``: it looks across all symbols of a market.
``LOOKBACK``
    How many bars before a row its features may depend on, some to spare. A period is computed from its own bars and
    this many before them.
``names()``
    The names of its features, a tuple. The columns of a panel set are ``{symbol}__{name}``.
``compute(bars)``
    Scope symbol: takes a DataFrame of bars and returns float32 columns named ``names()``, row by row the same index.
    Scope panel: takes ``{symbol: bars}`` and returns ``timestamp`` (the union of all stamps) and the columns of every
    symbol in the mapping's order, float32.
``OF``
    Scope panel only: of which symbols an ensemble takes the columns. ``"peers"``: those of its peers, by the name
    ``{peer}__{name}``. ``"target"``: those of the symbol that it predicts, by the name ``{name}``.
``INPUTS``
    Scope panel, if it has any: which of the market's optional inputs (industries, benchmark, factors) ``compute`` takes
    as keyword arguments, None where the market has none. Features that need one which is missing are left out of the
    columns.
``definition()``
    If it is made of formulas: ``{name: text}`` of them. They are part of what a job is: a changed text recomputes the
    set as changed code does.

Features are finite or NaN, and obey two laws that the tests hold them to. A row depends on no later bar
(recomputed with the future deleted it is the same), and computed by period it has the very bits that it has when
computed on the whole history; so windows must not carry rounding errors along (see ``scripts.market.windows``).
If more bars are missing from a lookback than it has to spare, the law still holds between jobs that read alike.

These names, but for ``compute``, are read at planning time: a set imports nothing heavier than numpy at its top.
"""

import functools
import hashlib
import importlib
import json
from pathlib import Path

from scripts.common.errors import StudyError


def available():
    """The names of all feature sets, sorted."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.py") if not file.stem.startswith("_"))


@functools.cache
def load(name):
    """The module of a feature set. Raises StudyError when there is none of that name."""
    if name not in available():
        raise StudyError(f"there is no feature set '{name}'; there are: {', '.join(available())}")
    return importlib.import_module(f"scripts.market.features.{name}")


def owner(feature, sets, peers=()):
    """The one of ``sets`` that has the column ``feature``, a peer's columns being ``{peer}__{name}``.

    Raises StudyError when none has it.
    """
    for each in sets:
        prefixes = [f"{peer}__" for peer in peers] if of_peers(each) else [""]
        if any(feature == prefix + name for prefix in prefixes for name in load(each).names()):
            return each
    raise StudyError(
        f"no feature '{feature}' in {', '.join(sets) or 'no feature set'}: it must be a feature of a set that one of "
        "the models uses; a peer's are written PEER__feature"
    )


def of_peers(name):
    """Whether an ensemble takes the columns of its peers from a set, not those of its target."""
    module = load(name)
    return module.SCOPE == "panel" and module.OF == "peers"


def inputs(name):
    """The optional inputs of a market that a set takes."""
    return getattr(load(name), "INPUTS", ())


@functools.cache
def definition_digest(name):
    """A short digest of the formulas that a set is made of, or None for a set that is all code."""
    define = getattr(load(name), "definition", None)
    if define is None:
        return None
    formulas = {key: " ".join(text.split()) for key, text in define().items()}
    return hashlib.sha256(json.dumps(list(formulas.items())).encode()).hexdigest()[:16]
