"""Sources of bars: one module each, chosen by ``source.kind`` in the config.

A source is a module of this package with

``read(symbol, source, *, files, timeframe, calendar, span, seed)``
    The raw bars of ``symbol`` as a DataFrame and notes about them as a dict for JSON. ``source`` is the source's
    section of the config, ``files`` are the job's input files, ``span`` is ``{"start", "end"}`` (ISO dates or None)
    and only a hint: rows outside of it are cut off by the caller.

    Raw bars have the columns of :mod:`scripts.market.bars` in the order of the source, stamps in UTC; nothing is
    sorted, dropped or repaired, so that the checks see what was found. Two columns more say what the source itself
    could not read: ``reason`` (a text, or None) and ``found`` (the stamp as it stood there). They may be left out.
    Raises StudyError when there are no bars to read.
"""

import importlib
from pathlib import Path

from scripts.common.errors import StudyError


def available():
    """The kinds of sources, sorted."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.py") if not file.stem.startswith("_"))


def load(kind):
    """The module of a kind of source. Raises StudyError when there is none of that name."""
    if kind not in available():
        raise StudyError(f"there is no kind of source '{kind}'; there are: {', '.join(available())}")
    return importlib.import_module(f"scripts.market.sources.{kind}")
