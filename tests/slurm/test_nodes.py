"""Faults that SLURM takes long to see, three runs at a time: a time limit, a node's death, with and without requeue."""

from dataclasses import dataclass

import pytest

from tests.slurm.cluster import wait
from tests.slurm.runs import Run, Training, assert_same, jobs_of, kill_all, resumed, without
from tests.slurm.studies import BLOCKS, target

OUTPUTS = BLOCKS["b000"]
HELD = 4
RUNS = {
    # one minute is the shortest limit; the job is held, so that it does not end before
    "limit": {"partition": "gpu", "resources": ["train_folds:runtime=1 if attempt == 1 else 10"]},
    "requeued": {},
    "resubmitted": {"options": ["--slurm-no-requeue"]},
}


@dataclass
class Outcome:
    """What came of a run: the step of its last checkpoint at the fault, and its SLURM jobs before and after."""

    folder: object
    step: int
    before: object
    jobs: list


@pytest.fixture(scope="module")
def outcomes(request, running, boosted, tmp_path_factory):
    request.addfinalizer(lambda: (kill_all(), running.restore()))
    running.restore()
    folder = tmp_path_factory.mktemp("nodes")
    runs, trainings, before = {}, {}, {}
    for name, options in RUNS.items():
        runs[name] = Run(running, without(boosted, folder / name, *OUTPUTS), target(OUTPUTS), **options)
        trainings[name] = Training(runs[name], HELD)
        before[name] = running_job(running, runs[name].folder)
    died = {before["requeued"].node, before["resubmitted"].node}
    for node in died:
        running.crash(node)
    if len(died) == 2:  # something has to be left to go on
        wait("the nodes' death", lambda: not {job.node for job in running.jobs(state="RUNNING")} & died, 120)
        running.revive(before["requeued"].node)
    for run in runs.values():
        run.succeed()
    return {
        name: Outcome(run.folder, trainings[name].step, before[name], jobs_of(running, run.folder))
        for name, run in runs.items()
    }


def running_job(cluster, folder):
    (job,) = [each for each in jobs_of(cluster, folder) if each.state == "RUNNING"]
    return job


@pytest.mark.parametrize("name", RUNS)
def test_the_training_goes_on_and_its_files_are_those_of_an_undisturbed_one(outcomes, boosted, name):
    assert_same(outcomes[name].folder, boosted)
    assert resumed(outcomes[name].folder, "train_folds") == outcomes[name].step == HELD - 1


def test_a_job_above_its_time_limit_is_tried_again_with_a_longer_one(outcomes):
    assert [job.state for job in outcomes["limit"].jobs] == ["TIMEOUT", "COMPLETED"]


def test_slurm_itself_starts_the_job_of_a_dead_node_again(outcomes):
    (job,) = outcomes["requeued"].jobs
    assert (job.id, job.state) == (outcomes["requeued"].before.id, "COMPLETED")
    assert job.started > outcomes["requeued"].before.started


def test_without_requeue_snakemake_submits_it_again_and_leaves_the_node_out(outcomes):
    first, second = outcomes["resubmitted"].jobs
    assert (first.state, second.state) == ("NODE_FAIL", "COMPLETED")
    assert second.node != first.node
