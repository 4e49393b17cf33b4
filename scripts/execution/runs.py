"""Runs on SLURM that are over while their jobs are not: after `kill -9` of Snakemake, or a crash of its machine.

Such orphans go on, and write the outputs that the next run makes as well. All jobs of a run bear its id as their name.
So each run leaves its id and the process that it is in `.snakemake/slurm_runs`, and the next run of the same study in
the same folder cancels what is left of those whose process has ended, before it submits anything.
"""

import getpass
import json
import os
import socket
import sys
import time
from pathlib import Path

import psutil

from scripts.common import atomic
from scripts.common.errors import StudyError
from scripts.execution import clients

RECORDS = ".snakemake/slurm_runs"


def record(folder, study, run):
    """Note that this process is the run of ``study`` in ``folder`` whose jobs bear the name ``run``."""
    me = psutil.Process()
    account = {"run": run, "study": study, "host": socket.gethostname(), "pid": me.pid, "started": me.create_time()}
    atomic.write_json(Path(folder, RECORDS, f"{run}.json"), account)


def cancel_orphans(folder, study, patience=300):
    """Cancel the jobs of earlier runs of ``study`` in ``folder`` that are over, and wait until they are gone.

    Returns how many jobs there were. Jobs of a run that is alive are left alone. Raises StudyError when a run's
    process cannot be looked at, as it was another machine's, and has jobs; when SLURM does not answer; and when jobs
    are still there after ``patience`` seconds.
    """
    over = [(path, run) for path, run in records(folder) if run["study"] == study and not alive(run)]
    if not over:
        return 0
    jobs = jobs_of([run["run"] for _, run in over])
    for _, run in over:
        count = len(jobs.get(run["run"], []))
        if count and run["host"] != socket.gethostname():
            raise StudyError(
                f"A run of study {study} that was started on {run['host']} has {count} jobs on the cluster, and from "
                f"here it cannot be seen whether it is alive (process {run['pid']} there). If it is, wait for it or "
                f"end it. If not: scancel --name {run['run']}, then start again."
            )
    orphans = sum(map(len, jobs.values()))
    if orphans:
        names = sorted(jobs)
        print(f"Cancelling {orphans} jobs of a run of {study} that was killed: {', '.join(names)}", file=sys.stderr)
        clients.ask("scancel", "--user", getpass.getuser(), "--name", ",".join(names))
        wait_until_gone(names, patience)
    for path, _ in over:
        path.unlink(missing_ok=True)
    return orphans


def records(folder):
    """The records of the runs in ``folder`` as ``(path, record)``."""
    return [(path, json.loads(path.read_text())) for path in sorted(Path(folder, RECORDS).glob("*.json"))]


def alive(run):
    """Whether a run's process is at work on this machine; a process that got its number later is another one."""
    try:
        process = psutil.Process(run["pid"])
        same = abs(process.create_time() - run["started"]) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
    return same and run["host"] == socket.gethostname()


def jobs_of(names):
    """``{name of a run: ids of its jobs}`` of this user's jobs that wait, run or are being ended."""
    printed = clients.ask(
        "squeue", "--noheader", "--user", getpass.getuser(), "--name", ",".join(names), "--format", "%j %i"
    )
    found = {}
    for line in printed.split("\n"):
        if line.strip():
            name, job = line.split()
            found.setdefault(name, []).append(job)
    return found


def wait_until_gone(names, patience):
    """Wait until no job bears one of the names. Raises StudyError after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while left := jobs_of(names):
        if time.monotonic() > deadline:
            shown = ", ".join(job for jobs in left.values() for job in jobs)
            raise StudyError(
                f"Jobs of a killed run were cancelled and are still there after {patience:.0f} s: {shown}. While they "
                "are, they may write what a new run makes. See what holds them (squeue), then start again."
            )
        time.sleep(1)


if __name__ == "__main__":
    try:
        cancel_orphans(os.curdir, sys.argv[1])
    except StudyError as error:
        sys.exit(str(error))
