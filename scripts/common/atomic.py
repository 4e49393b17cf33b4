"""Whole files or none: everything is written beside its place and renamed into it."""

import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path):
    """Yield a temporary path beside ``path``; it takes the place of ``path`` when the block ends without an error.

    Works for files and folders (make the folder yourself). Parents are created. After an error nothing is left.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: some writers choose their format by it. One name for all attempts: what a killed job
    # left is removed by the next one.
    temporary = path.with_name(f".{path.stem}.part{path.suffix}")
    _remove(temporary)
    try:
        yield temporary
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        _remove(temporary)


def write_text(path, text):
    """Write ``text`` as UTF-8 with line feeds."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_json(path, value):
    """Write ``value`` as canonical JSON: sorted keys, one space of indent, a final line feed.

    Raises ValueError for NaN and infinities: say None and why instead.
    """
    write_text(path, json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_table(path, frame):
    """Write a DataFrame as parquet (zstd) without its index; equal frames give equal bytes."""
    with replacing(path) as temporary:
        frame.to_parquet(temporary, index=False, compression="zstd", engine="pyarrow")


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
