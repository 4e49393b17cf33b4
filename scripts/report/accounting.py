"""When SLURM took jobs, started and ended them, from its accounting, where there is one."""

import os
import shutil
import subprocess
from typing import NamedTuple

FIELDS = "JobIDRaw,Submit,Start,End"
AT_ONCE = 500  # ids of one question
PATIENCE = 30  # seconds; without a daemon sacct would try for minutes


class Allocation(NamedTuple):
    """Seconds since 1970, each None where it is unknown."""

    submit: float | None
    start: float | None
    end: float | None

    @property
    def queued(self):
        """Seconds from submission to start, or None."""
        return None if None in (self.submit, self.start) else self.start - self.submit


def allocations(ids):
    """``{id: Allocation}`` of SLURM jobs, those that the accounting knows; empty where there is none."""
    ids, found = sorted(set(ids)), {}
    if not shutil.which("sacct"):
        return found
    for first in range(0, len(ids), AT_ONCE):
        command = ["sacct", "-X", "-n", "-P", f"--format={FIELDS}", "-j", ",".join(ids[first : first + AT_ONCE])]
        try:
            environment = os.environ | {"SLURM_TIME_FORMAT": "%s"}
            said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
        except (OSError, subprocess.TimeoutExpired):
            return {}
        for line in said.stdout.splitlines() if said.returncode == 0 else ():
            name, *times = line.split("|")
            if len(times) == 3:
                found[name] = Allocation(*(float(each) if each.isdigit() else None for each in times))
    return found
