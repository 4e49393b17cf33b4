"""Snakemake on the cluster of the tests: a checkout as a clone gives it, and runs of it with `--profile slurm`."""

import os
import subprocess
import sys
from pathlib import Path

from tests.slurm import settings
from tests.tiny import make_checkout

POLLING = Path(__file__).with_name("polling.py")
# what a site edits: a group must fit on a node of the test's cluster
SITE = ("--cores", str(settings.CPUS))


def clone(folder, study):
    """A checkout whose default study is ``study``, with the link `slurm`, as a clone of the repository has it."""
    make_checkout(folder, study)
    os.symlink("profiles/slurm", folder / "slurm")
    partitions = folder / "profiles/slurm/partitions.yaml"
    partitions.write_text(partitions.read_text().replace("max_gpu: 8", "max_gpu: 2"))
    return folder


def start(cluster, folder, *arguments):
    """Start `snakemake --profile slurm` in a checkout; it is the leader of a session of its own."""
    command = [sys.executable, str(POLLING), "--profile", "slurm", *SITE, *arguments]
    log = open(folder / "run.log", "ab")  # noqa: SIM115 (open as long as the run)
    return subprocess.Popen(
        command, cwd=folder, env=cluster.environment(), stdout=log, stderr=log, start_new_session=True
    )


def finish(process, folder, seconds=900):
    """Wait for a run; returns its exit status and all that it has printed."""
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise AssertionError(f"no end after {seconds} s\n{(folder / 'run.log').read_text()[-6000:]}") from None
    return status, (folder / "run.log").read_text()


def run(cluster, folder, *arguments, seconds=900):
    """`snakemake --profile slurm` from start to end; returns its exit status and what it printed."""
    return finish(start(cluster, folder, *arguments), folder, seconds)
