"""Kinds of base models: one module each, chosen by ``kind`` in the config.

A kind is a module of this package with

``TRAINS``
    Whether it trains: then ``build`` gets a ``session`` as well (:class:`scripts.llm.sessions.Session`).
``build(settings, inputs, folder, *, seed, threads)``
    Writes a complete model folder (config.json, safetensors, tokenizer.json, tokenizer_config.json, chat template)
    and returns facts for its index, a dict that equal inputs make equal. ``settings`` is the base's section of the
    config; ``inputs`` has ``texts`` (jsonl files of training samples) and ``models`` (``{name: (folder, index)}``).
    Raises StudyError where the base cannot be had.
"""

import importlib
from pathlib import Path

from scripts.common.errors import StudyError


def available():
    """The kinds of bases, sorted."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.py") if not file.stem.startswith("_"))


def load(kind):
    """The module of a kind of base. Raises StudyError when there is none of that name."""
    if kind not in available():
        raise StudyError(f"there is no kind of base '{kind}'; there are: {', '.join(available())}")
    return importlib.import_module(f"scripts.llm.bases.{kind}")
