"""Domains: what can be asked of retirement, taxes, estates, investment, compliance and markets, one module each.

A domain is a module of this package with ``QUESTIONS``, a tuple of :class:`scripts.corpus.questions.Question`; its
phrasings are ``resources/templates/domains/<domain>.yaml``. Read at planning time: nothing heavy is imported.
"""

import importlib
from pathlib import Path

from scripts.common.errors import StudyError


def available():
    """The names of all domains, sorted."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.py") if not file.stem.startswith("_"))


def load(name):
    """The module of a domain. Raises StudyError when there is none of that name."""
    if name not in available():
        raise StudyError(f"there is no domain '{name}'; there are: {', '.join(available())}")
    return importlib.import_module(f"scripts.corpus.domains.{name}")
