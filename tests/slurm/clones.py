"""`snakemake --profile slurm` in a checkout as a clone gives it, with nothing edited but what a site edits."""

import os
import subprocess
import sys

from tests.slurm import settings
from tests.slurm.runs import POLLING
from tests.tiny import make_checkout

# a group must fit on a node of the test's cluster
SITE = ("--profile", "slurm", "--cores", str(settings.CPUS))


def clone(folder, study):
    """A checkout whose default study is ``study``, with the link `slurm`, as a clone of the repository has it."""
    make_checkout(folder, study)
    os.symlink("profiles/slurm", folder / "slurm")
    partitions = folder / "profiles/slurm/partitions.yaml"
    partitions.write_text(partitions.read_text().replace("max_gpu: 8", "max_gpu: 2"))
    return folder


def run(cluster, folder, *arguments, seconds=1500):
    """A run from start to end; returns its exit status and what it printed."""
    command = [sys.executable, str(POLLING), *SITE, *arguments]
    with open(folder / "run.log", "w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=cluster.environment(folder), stdout=log, stderr=log, start_new_session=True
        )
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise AssertionError(f"no end after {seconds} s\n{(folder / 'run.log').read_text()[-6000:]}") from None
    return status, (folder / "run.log").read_text()
