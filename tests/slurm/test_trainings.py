"""Trainings of language models that are killed on the cluster: the retry goes on, and leaves the same weights.

What is lost is at most the tenth of the training since the last checkpoint, and the step that was being made.
"""

import json
import math
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.slurm.runs import Run, Training, assert_same, attempts, jobs_of, kill_all, resumed, without
from tests.slurm.studies import CHATTERS, TRAININGS, target
from tests.tiny import make_checkout, snakemake


@pytest.fixture(scope="module")
def chattered(tmp_path_factory):
    """A checkout in which a local run has trained a base, one phase of SFT and DPO."""
    folder = make_checkout(tmp_path_factory.mktemp("chattered") / "checkout", CHATTERS)
    snakemake(folder, *map(target, TRAININGS.values()))
    return folder


def cancelled(cluster, training):
    cluster.cancel(*[job for job in jobs_of(cluster, training.folder) if job.state == "RUNNING"])


def killed(cluster, training):
    jobs = [job for job in jobs_of(cluster, training.folder) if job.state == "RUNNING"]
    cluster.cancel(*jobs, name="KILL")


def crashed(cluster, training):
    training.crash()


FAULTS = {"build_base": cancelled, "train_sft": killed, "train_dpo": crashed}


@pytest.fixture(scope="module")
def disturbed(request, running, chattered, tmp_path_factory):
    """``{rule: (folder, step of the last checkpoint, steps made)}`` of three trainings that were killed once."""
    request.addfinalizer(lambda: (kill_all(), running.restore()))
    running.restore()
    folder = tmp_path_factory.mktemp("disturbed")
    runs = {
        rule: Run(running, without(chattered, folder / rule, *outputs), target(outputs))
        for rule, outputs in TRAININGS.items()
    }
    with ThreadPoolExecutor(len(runs)) as pool:
        trainings = dict(zip(runs, pool.map(lambda run: Training(run, 2), runs.values()), strict=True))
    found = {rule: (each.folder, each.step, made(each.folder)) for rule, each in trainings.items()}
    for rule, training in trainings.items():
        FAULTS[rule](running, training)
    for run in runs.values():
        run.succeed()
    return found


def made(folder):
    """How many steps the training in ``folder`` has made, of what is in its metrics so far."""
    (path,) = (folder / ".work").rglob("metrics.jsonl")
    lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return max(json.loads(line)["step"] for line in lines)


def total(folder, rule):
    """The number of steps of the whole training."""
    if rule == "build_base":
        return CHATTERS["bases"]["tiny"]["steps"]
    return json.loads((folder / "results/tiny" / TRAININGS[rule][-1]).read_text())["steps"]


@pytest.mark.parametrize("rule", TRAININGS)
def test_a_killed_training_goes_on_and_leaves_the_same_weights(disturbed, chattered, running, rule):
    folder, step, steps = disturbed[rule]
    assert resumed(folder, rule) == step > 0
    assert 0 <= steps - step <= math.ceil(total(folder, rule) / 10)
    assert_same(folder, chattered)
    assert not [path for path in (folder / ".work/tiny" / rule).rglob("*") if path.is_file()]
    states = attempts(running, folder)
    assert len(states) == 2 and states[0] in ("CANCELLED", "FAILED") and states[1] == "COMPLETED"
