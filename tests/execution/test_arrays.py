"""Arrays of the SLURM plugin: all that is handed over is submitted, and no array asks for less than its jobs."""

from types import SimpleNamespace

import pytest
from snakemake_executor_plugin_slurm import Executor

from scripts.execution import arrays


class Job:
    """A job as the plugin sees it."""

    def __init__(self, rule="train_folds", mem_mb=1000, attempt=1, group=False, **resources):
        self.rule, self.attempt, self.group = SimpleNamespace(name=rule), attempt, group
        self.name, self.threads, self.resources = rule, 1, {"mem_mb": mem_mb, "runtime": 60} | resources

    def is_group(self):
        return self.group


@pytest.fixture
def executor(monkeypatch):
    """The plugin's own executor, with what it submits kept in a list: one job, or a list of those of an array."""
    made = Executor.__new__(Executor)
    made.submitted, made.array_jobs, made.max_array_size = [], {"train_folds"}, 200
    made.logger = SimpleNamespace(debug=lambda *_: None, warning=lambda *_: None)
    made._main_event_loop = None
    monkeypatch.setattr(Executor, "_submit_job", lambda self, job: self.submitted.append(job))
    monkeypatch.setattr(Executor, "_submit_array_jobs", lambda self, jobs: self.submitted.append(list(jobs)))
    return made


def with_ready(executor, jobs):
    """The executor in a workflow where ``jobs`` are ready and not handed over."""
    executor.workflow = SimpleNamespace(dag=SimpleNamespace(ready_jobs=jobs))
    return executor


def test_the_plugin_alone_loses_jobs_when_more_are_ready_than_handed_over(executor):
    """Should this fail after an upgrade, scripts/execution/arrays.py may be superfluous."""
    with_ready(executor, [Job() for _ in range(3)]).run_jobs([Job()])
    assert executor.submitted == []


@pytest.mark.parametrize("handed", [1, 2, 5])
def test_all_jobs_that_are_handed_over_are_submitted(executor, handed):
    jobs = [Job() for _ in range(handed)]
    arrays.make_safe(with_ready(executor, [Job() for _ in range(9)]))
    executor.run_jobs(jobs)
    assert executor.submitted == [jobs if handed > 1 else jobs[0]]


def test_an_array_asks_for_what_its_largest_job_asks_for(executor):
    jobs = [Job(mem_mb=1023), Job(mem_mb=1100), Job(mem_mb=1025)]
    arrays.make_safe(with_ready(executor, []))
    executor.run_jobs(jobs)
    assert [job.resources["mem_mb"] for job in executor.submitted[0]] == [1100, 1025, 1023]


def test_jobs_of_unlike_needs_share_no_array(executor):
    small, large = [Job(mem_mb=1000), Job(mem_mb=1100)], [Job(mem_mb=9000), Job(mem_mb=8000)]
    again, longer, card = Job(mem_mb=2000, attempt=2), Job(runtime=120), Job(gpu=1)
    arrays.make_safe(with_ready(executor, []))
    executor.run_jobs([*small, *large, again, longer, card])
    submitted = [each if isinstance(each, list) else [each] for each in executor.submitted]
    assert sorted(map(len, submitted)) == [1, 1, 1, 2, 2]
    assert large in submitted and small[::-1] in submitted


def test_groups_and_other_rules_go_their_own_way(executor):
    group, other, block = Job("compute_features", group=True), Job("fit_final"), Job()
    arrays.make_safe(with_ready(executor, []))
    executor.run_jobs([group, other, block])
    assert executor.submitted == [group, other, block]
