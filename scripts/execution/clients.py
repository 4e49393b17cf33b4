"""SLURM's client commands, with a time limit: they wait for minutes where a daemon does not answer."""

import shutil
import subprocess

from scripts.common.errors import StudyError


def ask(*command, seconds=30):
    """What a client prints on standard output.

    Raises StudyError where there is no such command, where it fails, and where it has not answered after ``seconds``.
    """
    if shutil.which(command[0]) is None:
        raise StudyError(f"There is no {command[0]} here: this is no machine of a SLURM cluster, or PATH lacks SLURM.")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise StudyError(
            f"{' '.join(command)} did not answer within {seconds} s: a daemon of SLURM (slurmctld, slurmdbd, munge) "
            "is down or cannot be reached from here."
        ) from None
    if done.returncode:
        raise StudyError(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout
