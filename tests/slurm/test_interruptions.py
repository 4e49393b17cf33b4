"""Snakemake itself is interrupted while its jobs run on the cluster; the next run finishes, with the same files."""

import signal
import time

import pytest

from tests.slurm.runs import Run, Training, assert_same, attempts, resumed, without
from tests.slurm.studies import BLOCKS, target

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
    assert attempts(cluster, checkout) == ["CANCELLED"] and absent(checkout)
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


@pytest.mark.parametrize("held", [True, False], ids=["held", "at work"])
def test_a_killed_snakemake_leaves_orphans_which_the_next_run_cancels_first(cluster, checkout, boosted, held):
    run = Run(cluster, checkout, TARGET)
    training = Training(run, HELD)
    run.kill()
    if not held:
        training.go_on()
    again = Run(cluster, checkout, TARGET)
    again.succeed()
    first, *_, last = attempts(cluster, checkout)
    assert last == "COMPLETED"
    # one that is at work may have ended before
    assert first == "CANCELLED" or not held
    if held:
        assert "Cancelling 1 jobs" in again.output()
        assert resumed(checkout, "train_folds") == training.step
    assert_same(checkout, boosted)
