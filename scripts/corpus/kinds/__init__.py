"""Kinds of parts: one module each, chosen by ``kind`` in the config.

A kind is a module of this package with

``FORMAT``
    ``"messages"``, ``"preferences"`` or ``"prompts"``: see ``scripts.corpus.samples``. Where it depends on the
    settings: a function ``format_of(settings)``.
``TEMPLATES``
    Names of the files of phrasings below ``resources/templates`` that it reads, without ``.yaml``: their content is a
    param of the job. A function ``templates_of(settings)`` where they depend on the settings.
``build(part)``
    Yields the samples of a :class:`scripts.corpus.parts.Part`, in a fixed order, all with unique prompts. Raises
    StudyError when fewer can be made than are asked for, with how many can.

Read at planning time: a kind imports nothing heavier than numpy at its top.
"""

import importlib
from pathlib import Path

from scripts.common.errors import StudyError


def available():
    """The names of all kinds, sorted."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.py") if not file.stem.startswith("_"))


def load(kind):
    """The module of a kind. Raises StudyError when there is none of that name."""
    if kind not in available():
        raise StudyError(f"there is no kind of part '{kind}'; there are: {', '.join(available())}")
    return importlib.import_module(f"scripts.corpus.kinds.{kind}")


def format_of(settings):
    """The format of a part's samples, from its settings (a dict)."""
    module = load(settings["kind"])
    return module.format_of(settings) if hasattr(module, "format_of") else module.FORMAT


def templates_of(settings):
    """The names of the template files that a part reads, from its settings (a dict)."""
    module = load(settings["kind"])
    return module.templates_of(settings) if hasattr(module, "templates_of") else module.TEMPLATES
