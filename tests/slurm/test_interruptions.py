"""Snakemake itself is interrupted while its jobs run on the cluster; the next run finishes, with the same files."""

import signal
import subprocess
import sys
import time

import pytest

from tests.slurm.cluster import wait
from tests.slurm.runs import Run, Training, assert_same, attempts, resumed, without
from tests.slurm.studies import BLOCKS, target
from tests.tiny import snakemake

OUTPUTS = BLOCKS["b000"]
TARGET = target(OUTPUTS)
HELD = 4


@pytest.fixture
def checkout(boosted, tmp_path):
    return without(boosted, tmp_path / "checkout", *OUTPUTS)


def absent(folder):
    return not any((folder / "results/tiny" / name).exists() for name in OUTPUTS)


def test_ctrl_c_cancels_the_jobs_and_the_next_run_goes_on(cluster, checkout, boosted):
    run = Run(cluster, checkout, TARGET)
    training = Training(run, HELD)
    run.process.send_signal(signal.SIGINT)
    run.fail()
    wait("the job's end", lambda: attempts(cluster, checkout) == ["CANCELLED"])
    assert absent(checkout)
    Run(cluster, checkout, TARGET).succeed()
    assert resumed(checkout, "train_folds") == training.step
    assert_same(checkout, boosted)


def test_sigterm_lets_the_running_jobs_end(cluster, checkout, boosted):
    run = Run(cluster, checkout, TARGET)
    training = Training(run, HELD)
    run.process.send_signal(signal.SIGTERM)
    time.sleep(2)
    assert run.process.poll() is None and attempts(cluster, checkout) == ["RUNNING"]
    training.go_on()
    run.end()
    assert attempts(cluster, checkout) == ["COMPLETED"]
    Run(cluster, checkout, TARGET).succeed()
    assert attempts(cluster, checkout) == ["COMPLETED"]
    assert_same(checkout, boosted)


def recover(cluster, folder):
    """What `make run` does first: the jobs of a killed run are cancelled, then what they left is removed."""
    for module, *words in (["scripts.execution.runs", "tiny"], ["scripts.common.recovery"]):
        command = [sys.executable, "-m", module, *words]
        subprocess.run(command, cwd=folder, env=cluster.environment(), check=True, timeout=120)


def test_orphans_of_a_killed_snakemake_are_cancelled_by_make_run(cluster, checkout, boosted):
    run = Run(cluster, checkout, TARGET)
    training = Training(run, HELD)
    run.kill()
    training.go_on()
    recover(cluster, checkout)
    # it was at work, and may have ended before
    assert attempts(cluster, checkout)[0] in ("CANCELLED", "COMPLETED") and absent(checkout)
    Run(cluster, checkout, TARGET).succeed()
    assert_same(checkout, boosted)


def test_after_an_unlock_snakemake_itself_cancels_the_orphans_of_the_killed_one(cluster, checkout, boosted):
    run = Run(cluster, checkout, TARGET)
    training = Training(run, HELD)
    run.kill()
    assert "It can be removed with the --unlock argument" in Run(cluster, checkout, TARGET).fail()
    assert attempts(cluster, checkout) == ["RUNNING"]
    snakemake(checkout, "--unlock")
    again = Run(cluster, checkout, TARGET)
    again.succeed()
    assert "Cancelling 1 jobs" in again.output()
    assert attempts(cluster, checkout) == ["CANCELLED", "COMPLETED"]
    assert resumed(checkout, "train_folds") == training.step
    assert_same(checkout, boosted)
