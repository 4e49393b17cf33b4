"""Figures of law and rules: ``resources/parameters/<name>.yaml``, each with its year and its public source."""

import functools
import hashlib
from pathlib import Path

import yaml

from scripts.common.errors import StudyError

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:
    from yaml import SafeLoader

FOLDER = Path(__file__).parents[2] / "resources" / "parameters"


@functools.cache
def load(name):
    """The content of a file of figures. Raises StudyError when there is none."""
    path = FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise StudyError(f"there are no figures '{name}': resources/parameters/{name}.yaml is missing")
    return yaml.load(path.read_text(encoding="utf-8"), Loader=SafeLoader)


def digest(name):
    """A short digest of a file's content, comments and layout left out."""
    return hashlib.sha256(repr(load(name)).encode()).hexdigest()[:16]
