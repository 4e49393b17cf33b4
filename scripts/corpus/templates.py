"""Phrasings: ``resources/templates/<name>.yaml``. They are data: the params of a job that uses them have a digest."""

import functools
import hashlib
from pathlib import Path

import yaml

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:
    from yaml import SafeLoader

from scripts.common.errors import StudyError

FOLDER = Path(__file__).parents[2] / "resources" / "templates"


@functools.cache
def load(name):
    """The content of a template file as plain lists and dicts. Raises StudyError when there is none."""
    path = FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise StudyError(f"there are no templates '{name}': resources/templates/{name}.yaml is missing")
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=SafeLoader)
    except yaml.YAMLError as error:
        raise StudyError(f"resources/templates/{name}.yaml is no valid YAML: {error}") from None


def digest(name):
    """A short digest of a template file's content, comments and layout left out."""
    return hashlib.sha256(repr(load(name)).encode()).hexdigest()[:16]
