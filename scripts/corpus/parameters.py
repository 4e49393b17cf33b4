"""Figures of law and rules: ``resources/parameters/<name>.yaml``, each with its year and its public source."""

import functools

from scripts.common import resources

FOLDER = resources.FOLDER / "parameters"


@functools.cache
def load(name):
    """The content of a file of figures. Raises StudyError when there is none."""
    return resources.load(FOLDER, name, "figures")


def digest(name):
    """A short digest of a file's content, comments and layout left out."""
    return resources.digest(load(name))
