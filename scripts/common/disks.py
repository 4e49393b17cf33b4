"""Disks that are full or cannot be written: said in words, whatever a library made of it."""

import errno
import os
from pathlib import Path

from scripts.common.errors import StudyError

WORDS = {
    errno.ENOSPC: "is full (No space left on device)",
    errno.EDQUOT: "is full for you (Disk quota exceeded)",
    errno.EROFS: "cannot be written (Read-only file system)",
}
LEAST = 64 * 1024  # bytes: a disk with less is full


def trouble(error, folders):
    """What is wrong with a disk when ``error`` was raised, as a sentence with what to do; None: nothing is.

    ``folders``: where the job writes; they are looked at where the error does not say it, as those of C libraries do.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in WORDS:
            return _sentence(error.filename or " or ".join(map(str, folders)), error.errno)
        error = error.__cause__ or error.__context__
    for folder in folders:
        if code := _state(folder):
            return _sentence(folder, code)
    return None


def require_room(*folders):
    """Raises StudyError where one of the folders, which may not exist yet, cannot be written or is full."""
    for folder in folders:
        if code := _state(folder):
            raise StudyError(_sentence(folder, code))


def _state(folder):
    """The errno that writing into a folder, which may not exist yet, would give; None: it can be written."""
    path = Path(folder).absolute()
    while not path.exists():
        path = path.parent
    found = os.statvfs(path)
    if found.f_flag & os.ST_RDONLY:
        return errno.EROFS
    return errno.ENOSPC if found.f_blocks and found.f_bavail * found.f_frsize < LEAST else None


def _sentence(where, code):
    return f"the disk of {where} {WORDS[code]}. Mend that, then start again: what was finished is kept"
