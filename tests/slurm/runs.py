"""Runs of Snakemake on the cluster of the tests, and trainings that are held in their middle."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.slurm.cluster import wait
from tests.tiny import contents

POLLING = Path(__file__).with_name("polling.py")
# a site's own names, and less patience than a real cluster needs
SITE = (
    "--profile=profiles/slurm",
    "--jobs=6",
    "--latency-wait=5",
    "--slurm-init-seconds-before-status-checks=1",
)
RESOURCES = ("mem_mb=500", "runtime=10")


class Run:
    """Snakemake at work in ``folder`` on ``cluster``: ``process``, and ``output()`` so far."""

    started = []  # all of the session

    def __init__(self, cluster, folder, *arguments, resources=(), partition="cpu", options=()):
        self.folder, self.log = folder, folder / f"run_{time.monotonic_ns()}.log"
        defaults = ["--default-resources", f"slurm_partition={partition}", *RESOURCES]
        changed = ["--set-resources", *resources] if resources else []
        command = [sys.executable, str(POLLING), *SITE, *options, *defaults, *changed, "--", *arguments]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env=cluster.environment(folder), stdout=log, stderr=log, start_new_session=True
            )
        self.started.append(self)

    def output(self):
        """What it has printed."""
        return self.log.read_text(errors="replace")

    def end(self, seconds=600):
        """Wait for its end; the exit code. Fails with its output where it hangs."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no end after {seconds} s:\n{self.output()[-6000:]}") from None

    def succeed(self, seconds=600):
        """Wait until it has ended well."""
        assert self.end(seconds) == 0, self.output()[-8000:]

    def fail(self, seconds=600):
        """Wait until it has ended with an error; its output."""
        assert self.end(seconds) not in (0, -signal.SIGKILL), self.output()[-8000:]
        return self.output()

    def kill(self):
        """SIGKILL Snakemake alone: its jobs go on."""
        self.process.kill()
        self.process.wait()


def kill_all():
    """Kill every run that a failed test has left."""
    while Run.started:
        Run.started.pop().kill()


class Training:
    """A training on the cluster, held by SIGSTOP after ``count`` complete checkpoints: what is lost can be counted."""

    def __init__(self, run, count, seconds=600):
        self.folder, self.process = run.folder, None

        def there():
            assert run.process.poll() is None, run.output()[-6000:]
            self.process = self.process or holder(self.folder)
            if len(self.steps()) < count:
                return False
            self.process.suspend()
            return True

        wait(f"{count} checkpoints", there, seconds, pause=0.01)
        self.step = max(self.steps())

    def steps(self):
        """The steps of the checkpoints that are complete."""
        found = (self.folder / ".work").rglob("checkpoint-*/complete.json")
        return sorted(int(path.parent.name.split("-")[1]) for path in found)

    def go_on(self):
        """Let it run again."""
        self.process.resume()

    def crash(self):
        """SIGKILL the training's own process; the rest of its job is told by the kernel."""
        self.process.kill()


def holder(folder):
    """The process that has the state of the one training in ``folder``, from its lock; None: nobody yet."""
    for lock in (folder / ".work").rglob(".*.lock"):
        try:
            return psutil.Process(json.loads(lock.read_text())["pid"])
        except (FileNotFoundError, ValueError):
            continue  # just being made
    return None


def resumed(folder, rule):
    """The step after which the last job of ``rule`` went on, from its log; None: it began at the start."""
    log = max((folder / "results/tiny/logs" / rule).rglob("*.log"), key=lambda path: path.stat().st_mtime)
    found = re.findall(r"resumes after step (\d+)", log.read_text())
    return int(found[-1]) if found else None


def without(built, folder, *outputs):
    """A copy of the checkout ``built`` in which ``outputs`` (paths below results/tiny) are still to be made."""
    shutil.copytree(built, folder, symlinks=True)
    for name in outputs:
        path = folder / "results/tiny" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return folder


def artifacts(folder):
    """All artifacts by name; records of failed attempts are none."""
    return {name: content for name, content in contents(folder).items() if not name.startswith("tiny/failures/")}


def assert_same(folder, built):
    """The checkout has the very files of the one that was built locally, and nothing beside them."""
    found, expected = artifacts(folder), artifacts(built)
    assert sorted(set(found) ^ set(expected)) == []
    assert [name for name in expected if found[name] != expected[name]] == []


def attempts(cluster, folder, rule=None):
    """The states of the SLURM jobs that were submitted from ``folder``, oldest first; ending ones are waited for."""
    wait("jobs that end", lambda: not [job for job in jobs_of(cluster, folder) if job.state == "COMPLETING"], 60)
    return [job.state for job in jobs_of(cluster, folder) if rule in (None, job.rule)]


def jobs_of(cluster, folder):
    """The SLURM jobs that were submitted from ``folder``, oldest first."""
    return [job for job in cluster.jobs() if job.folder == str(folder)]
