"""YAML files that are checked in below ``resources``: read safely, and digested without comments and layout."""

import hashlib
from pathlib import Path

import yaml

from scripts.common.errors import StudyError

try:
    # the same safe subset, ten times faster
    from yaml import CSafeLoader as SafeLoader
except ImportError:
    from yaml import SafeLoader

FOLDER = Path(__file__).parents[2] / "resources"


def read(path, shown):
    """The content of a YAML file; ``shown`` is its name in messages. Raises StudyError when it is no YAML."""
    loader = SafeLoader(Path(path).read_text(encoding="utf-8"))
    try:
        return loader.get_single_data()
    except yaml.YAMLError as error:
        raise StudyError(f"{shown} is no valid YAML: {error}") from None
    finally:
        loader.dispose()


def load(folder, name, what):
    """The content of ``<name>.yaml`` in a folder below ``FOLDER``; ``what`` says in messages what such files hold.

    Raises StudyError when there is no such file, or it is no YAML.
    """
    shown = f"resources/{folder.name}/{name}.yaml"
    if not (folder / f"{name}.yaml").is_file():
        raise StudyError(f"there are no {what} '{name}': {shown} is missing")
    return read(folder / f"{name}.yaml", shown)


def digest(content):
    """A short digest of what was read."""
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]
