import errno
import os
import types

import pytest

from scripts.common import disks
from scripts.common.errors import StudyError


def usage(**changed):
    values = {"f_flag": 0, "f_blocks": 100, "f_bavail": 50, "f_frsize": 4096} | changed
    return lambda path: types.SimpleNamespace(**values)


def test_a_full_disk_is_named():
    with pytest.raises(OSError) as raised, open("/dev/full", "w") as file:
        file.write("x")
        file.flush()
    said = disks.trouble(raised.value, ["results"])
    assert said.startswith("the disk of results is full (No space left on device)") and "start again" in said


def test_the_cause_of_an_error_is_looked_at():
    try:
        try:
            raise OSError(errno.EROFS, "Read-only file system", "results/x.json")
        except OSError as error:
            raise ValueError("cannot save") from error
    except ValueError as error:
        assert "results/x.json cannot be written (Read-only file system)" in disks.trouble(error, [])


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, None),
        ({"f_bavail": 3}, "is full (No space left on device)"),
        ({"f_flag": os.ST_RDONLY}, "cannot be written (Read-only file system)"),
        ({"f_blocks": 0, "f_bavail": 0}, None),  # not a disk
    ],
)
def test_what_a_library_does_not_say_is_looked_up(tmp_path, monkeypatch, state, expected):
    monkeypatch.setattr(os, "statvfs", usage(**state))
    said = disks.trouble(RuntimeError("Cannot write binary data"), [tmp_path / "not/there"])
    assert (said is None) if expected is None else (expected in said)


def test_a_run_wants_disks_with_room(tmp_path, monkeypatch):
    disks.require_room(tmp_path, tmp_path / "not/there")
    monkeypatch.setattr(os, "statvfs", usage(f_bavail=3))
    with pytest.raises(StudyError, match="the disk of results is full .*start again"):
        disks.require_room("results")
