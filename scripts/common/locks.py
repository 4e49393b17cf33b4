"""Snakemake's lock after a crash: released when no process of this checkout is alive any more.

Snakemake locks the folder while it runs. After a power cut or `kill -9` the lock stays and the next run refuses to
start. `python -m scripts.common.locks release` removes a lock that nobody holds, and waits for jobs that outlived
their workflow, because they may still be writing.
"""

import os
import sys
import time
from pathlib import Path


def release(folder=".", patience=600.0):
    """Remove the stale locks below ``folder``/.snakemake/locks; True when there were any.

    Raises SystemExit when another run of this folder is alive. Jobs without a workflow are given ``patience``
    seconds to end. Where there is no /proc (not Linux) nothing is removed: `make unlock` does it by hand.
    """
    locks = Path(folder, ".snakemake", "locks")
    if not locks.is_dir() or not any(locks.iterdir()) or not Path("/proc/self/cwd").exists():
        return False
    deadline = time.monotonic() + patience
    while alive := [line for line in processes(folder) if "snakemake" in line]:
        if any(".snakemake/scripts" not in line for line in alive) or time.monotonic() > deadline:
            sys.exit("Another run is at work in this folder; wait for it or end it:\n  " + "\n  ".join(alive))
        time.sleep(1)
    for lock in locks.iterdir():
        lock.unlink()
    print("Released the lock of a run that was killed.", file=sys.stderr)
    return True


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


if __name__ == "__main__":
    if sys.argv[1:] != ["release"]:
        sys.exit("usage: python -m scripts.common.locks release")
    release()
