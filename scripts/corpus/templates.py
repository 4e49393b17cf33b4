"""Phrasings: ``resources/templates/<name>.yaml``. They are data: the params of a job that uses them have a digest."""

import functools

from scripts.common import resources

FOLDER = resources.FOLDER / "templates"


@functools.cache
def load(name):
    """The content of a template file as plain lists and dicts. Raises StudyError when there is none."""
    return resources.load(FOLDER, name, "templates")


def digest(name):
    """A short digest of a template file's content, comments and layout left out."""
    return resources.digest(load(name))
