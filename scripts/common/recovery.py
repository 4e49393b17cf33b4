"""After a crash: Snakemake's lock is released, and what killed jobs left is removed, once nobody is at work any more.

Snakemake locks the folder while it runs; after a power cut or `kill -9` the lock stays and the next run refuses to
start. It also marks the outputs of a job until it has recorded how they were made. `--rerun-incomplete` looks for
such marks before checkpoints are known (9.27), so below a checkpoint it finds none: the files would stay without a
record, and no later change of their params would be noticed. So they are removed here, and made again; and so is what
the killed run wrote that has neither mark nor record, since a job can outlive the run that started it.

Where the results are objects, the marks name their addresses: those objects are removed, and with them the copies on
disk, of which a folder may be half fetched. The store is reached as Snakemake reaches it by its environment
(`SNAKEMAKE_STORAGE_S3_ENDPOINT_URL` and the like).
"""

import os
import shutil
import sys
import time
from base64 import urlsafe_b64decode
from pathlib import Path

from scripts.common import objects
from scripts.common.errors import StudyError

STATE, COPIES = ".snakemake", "storage"


def recover(folder=".", patience=600.0):
    """Make ``folder`` ready for a run after a crash; the outputs that were removed, as sorted paths.

    Raises SystemExit when another run of this folder is alive. Jobs without a workflow may still be writing: they are
    given ``patience`` seconds to end. Raises StudyError when an object has to be removed and the store cannot be
    reached. Where there is no /proc (not Linux) nothing is done: wait until all jobs have
    ended, then `make unlock`.
    """
    locks, marks = (Path(folder, STATE, name) for name in ("locks", "incomplete"))
    if not Path("/proc/self/cwd").exists() or not (_files(locks) or _files(marks)):
        return []
    deadline = time.monotonic() + patience
    while alive := [line for line in processes(folder) if "snakemake" in line]:
        if not all(map(is_job, alive)) or time.monotonic() > deadline:
            sys.exit("Another run is at work in this folder; wait for it or end it:\n  " + "\n  ".join(alive))
        time.sleep(1)
    begun = min((file.stat().st_mtime for file in _files(locks)), default=float("inf"))
    removed = [name for mark in _files(marks) for name in [marked(marks, mark)] if _remove_output(folder, name)]
    removed += [name for name in unrecorded(folder, begun) if _remove(Path(folder, name))]
    _remove(Path(folder, STATE, COPIES))
    for file in _files(locks) + _files(marks):
        file.unlink()
    return sorted(removed)


def marked(marks, mark):
    """The output that a mark below the folder ``marks`` stands for: base64, in folders where the name is long."""
    pieces = [piece.removeprefix("@") for piece in mark.relative_to(marks).parts]
    return urlsafe_b64decode("".join(pieces)).decode()


def unrecorded(folder, since):
    """The files below ``results`` written at or after ``since`` of which Snakemake has no record, as sorted paths.

    Logs, benchmarks and the report page have none by nature; files in a recorded folder belong to its record.
    """
    records = Path(folder, STATE, "metadata")
    known, found = {marked(records, file) for file in _files(records)}, []
    for path in Path(folder, "results").rglob("*"):
        name = path.relative_to(folder)
        if not path.is_file() or path.name == ".snakemake_timestamp" or path.stat().st_mtime < since:
            continue
        inside = name.parts[2:3] and name.parts[2] not in (
            "logs",
            "benchmarks",
            "failures",
            "report.html",
            "report.zip",
        )
        if inside and known.isdisjoint(each.as_posix() for each in (name, *name.parents)):
            found.append(name.as_posix())
    return sorted(found)


def processes(folder):
    """The command lines of the other processes whose working directory is ``folder``."""
    here, found = os.path.realpath(folder), []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) in (os.getpid(), os.getppid()):
            continue
        try:
            if os.path.realpath(process / "cwd") == here:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip())
        except OSError:
            continue  # it ended meanwhile, or belongs to somebody else
    return found


def is_job(line):
    """Whether a command line is a job's: its script, or the Snakemake that a run starts for it."""
    return f"{STATE}/scripts" in line or " --target-jobs " in line


def _files(folder):
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "migration_underway"]


def _remove_output(folder, name):
    """Remove an output, a path or an address; whether there was one."""
    if not objects.is_address(name):
        return _remove(Path(folder, name))
    place, _, last = name.rpartition("/")
    return objects.Folder(place).remove(last)


def _remove(path):
    """Remove a file or folder; whether there was one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
        return True
    there = path.is_symlink() or path.exists()
    path.unlink(missing_ok=True)
    return there


if __name__ == "__main__":
    try:
        outputs = recover()
    except StudyError as error:
        sys.exit(str(error))
    if outputs:
        print(f"A run was killed here. Removed {len(outputs)} outputs that it had not finished:", file=sys.stderr)
        print("\n".join(f"  {each}" for each in outputs[:5] + ["..."] * (len(outputs) > 5)), file=sys.stderr)
