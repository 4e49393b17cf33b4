"""Faults of a cluster amid a training: equal artifacts after a retry, or one clear error, never half a file.

The training is a block of twelve folds, held (SIGSTOP) after some of them; its inputs were made by a local run.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests import planning
from tests.slurm.cluster import wait
from tests.slurm.runs import Run, Training, artifacts, assert_same, attempts, jobs_of, kill_all, resumed, without
from tests.slurm.studies import BLOCKS, STACK, target

OUTPUTS = BLOCKS["b000"]
TARGET = target(OUTPUTS)
FOLDS = 12  # of the block
HELD = 4  # folds that are trained when the fault happens


@pytest.fixture
def checkout(boosted, tmp_path):
    return without(boosted, tmp_path / "checkout", *OUTPUTS)


def assert_done(folder, built):
    assert_same(folder, built)
    assert planning.plan(folder, targets=[TARGET]) == []
    left = [path for path in (folder / ".work").rglob("*") if path.is_file()]
    assert not [path for path in left if "attempts" not in path.parts]  # accounts stay


def running_job(cluster, folder):
    (job,) = [each for each in jobs_of(cluster, folder) if each.state == "RUNNING"]
    return job


def assert_goes_on(folder, training):
    """The retry began with the fold at which the first attempt was."""
    assert resumed(folder, "train_folds") == training.step == HELD - 1


@pytest.fixture(scope="module")
def retried(request, running, boosted, tmp_path_factory):
    """``{fault: (folder, training)}`` of three runs at a time whose job failed once."""
    request.addfinalizer(lambda: (kill_all(), running.restore()))
    running.restore()
    folder = tmp_path_factory.mktemp("retried")
    runs = {
        "cancelled": Run(running, without(boosted, folder / "cancelled", *OUTPUTS), TARGET),
        "crashed": Run(running, without(boosted, folder / "crashed", *OUTPUTS), TARGET),
    }
    with ThreadPoolExecutor(len(runs)) as pool:  # at one time, lest one goes on while another is waited for
        held = pool.map(lambda run: Training(run, HELD), runs.values())
        trainings = dict(zip(runs, held, strict=True))
    small = ["train_folds:mem_mb=250*attempt*attempt"]
    runs["memory"] = Run(running, without(boosted, folder / "memory", *OUTPUTS), TARGET, resources=small)
    running.cancel(running_job(running, runs["cancelled"].folder))
    trainings["crashed"].crash()
    for run in runs.values():
        run.succeed()
    return {name: (run.folder, trainings.get(name)) for name, run in runs.items()}


@pytest.mark.parametrize(("fault", "state"), [("cancelled", "CANCELLED"), ("crashed", "FAILED")])
def test_a_job_that_was_killed_is_tried_again_and_goes_on(running, retried, boosted, fault, state):
    folder, training = retried[fault]
    assert attempts(running, folder) == [state, "COMPLETED"]
    assert_goes_on(folder, training)
    assert_done(folder, boosted)


def test_a_job_that_needs_more_memory_than_it_asked_for_gets_it(running, retried, boosted):
    folder, _ = retried["memory"]
    states = attempts(running, folder)
    assert states[0] == "FAILED" and states[-1] == "COMPLETED"
    assert_done(folder, boosted)


def test_a_preempted_training_loses_no_more_than_a_killed_one(cluster, checkout, boosted):
    """A job of a partition of a higher tier takes the nodes: SIGTERM, and SIGKILL after the GraceTime."""
    cluster.client("scontrol", "create", "partition=urgent", "nodes=c1,c2", "prioritytier=10", "state=up")
    try:
        run = Run(cluster, checkout, TARGET)
        training = Training(run, HELD)
        before = running_job(cluster, checkout)
        cluster.client("sbatch", "-p", "urgent", "-N2", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 2")
        wait("the preemption", lambda: not training.process.is_running(), 120)
        assert [job for job in jobs_of(cluster, checkout) if job.id == before.id][0].state != "COMPLETED"
        run.succeed()
    finally:
        cluster.restore()
        cluster.client("scontrol", "delete", "partition=urgent")
    assert_goes_on(checkout, training)
    assert_done(checkout, boosted)


def test_the_controller_crashes_while_accounting_is_down(cluster, checkout, boosted):
    cluster.stop_accounting()
    run = Run(cluster, checkout, TARGET)
    training = Training(run, HELD)
    cluster.restart_controller(pause=5, hard=True)
    training.go_on()
    run.succeed()
    assert attempts(cluster, checkout) == ["COMPLETED"]
    assert resumed(checkout, "train_folds") is None
    assert_done(checkout, boosted)


@contextmanager
def small_disk(folder, size):
    """A file system of its own at ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "small", folder], check=True, timeout=10)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True, timeout=10)


def remount(folder, options):
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True, timeout=10)


def test_a_full_scratch_is_a_clear_error_and_the_next_run_goes_on(cluster, checkout, boosted):
    with small_disk(checkout / ".work", "256k"):
        said = Run(cluster, checkout, TARGET, options=["--retries=0"]).fail()
        assert "b000 stopped: the disk of .work is full (No space left on device)" in said
        assert set(artifacts(boosted)) - set(artifacts(checkout)) >= {f"tiny/{name}" for name in OUTPUTS[1:]}
        remount(checkout / ".work", "size=64m")
        Run(cluster, checkout, TARGET).succeed()
        assert resumed(checkout, "train_folds") is not None
        assert_done(checkout, boosted)


def test_results_on_a_full_disk_are_a_clear_error_and_no_half_block_stays(cluster, checkout, boosted):
    """The folds fit and are renamed into their place; their predictions do not fit any more."""
    oof = checkout / "results/tiny" / STACK / "oof"
    others = {path.name: path.read_bytes() for path in oof.iterdir()}
    with small_disk(oof, "16k"):
        said = Run(cluster, checkout, TARGET, options=["--retries=0"]).fail()
        assert "No space left on device" in said
        assert not any((checkout / "results/tiny" / name).exists() for name in OUTPUTS)
        remount(oof, "size=16m")
        Run(cluster, checkout, TARGET).succeed()
        for name, content in others.items():
            (oof / name).write_bytes(content)
        assert_same(checkout, boosted)


@contextmanager
def read_only(folder):
    """``folder`` cannot be written inside the block."""
    subprocess.run(["mount", "--bind", folder, folder], check=True, timeout=10)
    try:
        remount(folder, "bind,ro")
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True, timeout=10)


def test_results_that_become_read_only_are_a_clear_error_and_the_next_run_goes_on(cluster, checkout, boosted):
    run = Run(cluster, checkout, TARGET, options=["--retries=0"])
    training = Training(run, HELD)
    with read_only(checkout / "results/tiny" / STACK):
        training.go_on()
        assert "cannot be written (Read-only file system)" in run.fail()
    Run(cluster, checkout, TARGET).succeed()
    assert resumed(checkout, "train_folds") == FOLDS - 1
    assert_done(checkout, boosted)


def test_a_run_on_read_only_results_is_a_clear_error_before_any_job(cluster, checkout):
    with read_only(checkout / "results"):
        said = Run(cluster, checkout, TARGET, options=["--retries=0"]).fail()
    assert "the disk of results cannot be written (Read-only file system). Mend that" in said
    assert attempts(cluster, checkout) == []
