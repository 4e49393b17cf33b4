"""Manifests and fold plans as the planner reads them: cached, and there even while they are being remade."""

import errno
import functools
import json
import os

_last = {}
_current = {}


def read(file):
    """The JSON value in ``file``, cached until the file changes: a path, or what a rule or checkpoint says it makes.

    An object's copy on disk is fetched when the store has a newer one. Snakemake deletes a checkpoint's output before
    it remakes it and may ask for it in between: then the last known content serves. Raises FileNotFoundError when there
    never was one.
    """
    path = os.path.abspath(file)
    if getattr(file, "is_storage", False):
        _fetch(file.storage_object, path)
    state = _state(path)
    if state is not None:
        _last[path] = _read(path, state)
    elif path not in _last:
        # with the name by which the rules know it: so Snakemake knows a request that waits for an input
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))
    return _last[path]


def _fetch(stored, path):
    """Bring the copy of an object up to date; the store is not asked again as long as the copy stays as it is."""
    state = _state(path)
    if state is not None and _current.get(path) == state:
        return
    if stored.exists():
        made = stored.mtime()
        if state is None or os.stat(path).st_mtime < made:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            stored.retrieve_object()
            # as Snakemake does after storing it: the two clocks may differ
            os.utime(path, (made, made))
        _current[path] = _state(path)


def _state(path):
    """What changes when a file does, or None where there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@functools.lru_cache(maxsize=1024)
def _read(path, state):
    with open(path, encoding="utf-8") as file:
        return json.load(file)
