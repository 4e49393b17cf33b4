"""Manifests and fold plans as the planner reads them: cached, and there even while they are being remade."""

import functools
import json
import os

_last = {}


def read(path):
    """The JSON value in ``path``, cached until the file changes.

    Snakemake deletes a checkpoint's output before it remakes it and may ask for it in between: then the last known
    content serves. Raises FileNotFoundError when there never was one.
    """
    path = os.path.abspath(path)
    try:
        state = os.stat(path)
        _last[path] = _read(path, (state.st_mtime_ns, state.st_size, state.st_ino))
    except FileNotFoundError:
        if path not in _last:
            raise
    return _last[path]


@functools.lru_cache(maxsize=1024)
def _read(path, state):
    with open(path, encoding="utf-8") as file:
        return json.load(file)
