"""Accounts of a job's attempts: when each began and ended, where, with what request, and its highest memory.

`.work/<study>/attempts/<rule>/<job>.jsonl`, one file per job, named as its log. An attempt writes a line when it begins
and one when it ends; what was killed has no second line. An attempt after one that went well begins a new file: so an
account tells how the job's present outputs came about. Nothing that a result is made of is read from here.
"""

import json
import os
import socket
import time
from pathlib import Path
from typing import NamedTuple

FOLDER = "attempts"
DONE = "done"
REQUEST = ("mem_mb", "runtime", "gpu")


class Attempt(NamedTuple):
    """One attempt. ``start``, ``end``: seconds since 1970, ``end`` None where it was killed or is still at work;
    ``outcome``: done, the name of an error, or None; ``host``; ``slurm_job``: the id there, or None; ``request``: dict
    with mem_mb, runtime (minutes), gpu, threads as far as they were asked for; ``peak_mb``: the most memory that the
    process itself had, or None."""

    start: float
    end: float | None
    outcome: str | None
    host: str
    slurm_job: str | None
    request: dict
    peak_mb: float | None

    @property
    def seconds(self):
        """How long it ran, or None where that is unknown."""
        return None if self.end is None else self.end - self.start


def path_of(log):
    """Where the account of the job with this log is, or None for a log outside `results/<study>/logs`."""
    parts = Path(log).parts
    for place, (first, third) in enumerate(zip(parts, parts[2:], strict=False)):
        if (first, third) == ("results", "logs"):
            return Path(".work", parts[place + 1], FOLDER, *parts[place + 3 :]).with_suffix(".jsonl")
    return None


def begin(job):
    """Write that an attempt of a job begins; a function of the outcome that writes its end.

    An account that cannot be written (a full or read-only disk) is no reason to fail.
    """
    path = path_of(job.log[0]) if job.log else None
    if path is None:
        return lambda outcome: None
    name = f"{socket.gethostname()} {os.getpid()} {time.time():.6f}"
    request = {each: job.resources.get(each) for each in REQUEST} | {"threads": job.threads}
    first = {
        "attempt": name,
        "start": time.time(),
        "host": socket.gethostname(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "request": {each: value for each, value in request.items() if isinstance(value, int)},
    }
    _write(path, first, anew=any(each.outcome == DONE for each in read(path)))
    return lambda outcome: _write(
        path, {"attempt": name, "end": time.time(), "outcome": outcome, "peak_mb": peak_megabytes()}
    )


def read(path):
    """The :class:`Attempt` of each attempt in an account, in the order in which they began; lines cut short are left
    out."""
    found = {}
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    for line in text.splitlines():
        try:
            said = json.loads(line)
            found.setdefault(said["attempt"], {}).update(said)
        except (ValueError, KeyError, TypeError):
            continue
    return [
        Attempt(
            each["start"],
            each.get("end"),
            each.get("outcome"),
            each["host"],
            each.get("slurm_job"),
            each["request"],
            each.get("peak_mb"),
        )
        for each in found.values()
        if "start" in each
    ]


def read_all(study):
    """``{job: attempts}`` of a study; a job is the path of its log below the logs, without the suffix."""
    folder = Path(".work", study, FOLDER)
    return {path.relative_to(folder).with_suffix("").as_posix(): read(path) for path in sorted(folder.rglob("*.jsonl"))}


def peak_megabytes(status="/proc/self/status"):
    """The most memory that this process ever had, in MB (2^20 bytes); None where the system does not tell.

    Not getrusage: its figure begins with that of the process that started this one.
    """
    try:
        lines = Path(status).read_text().splitlines()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(kilobytes[0]) / 1024 if kilobytes else None


def _write(path, content, anew=False):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # one write each: lines of two attempts of the same job do not mix
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if anew else 0)
        descriptor = os.open(path, flags, 0o644)
        try:
            os.write(descriptor, (json.dumps(content) + "\n").encode())
        finally:
            os.close(descriptor)
    except OSError:
        pass
