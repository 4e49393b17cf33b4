"""A tiny study from a clean clone with `snakemake --profile slurm`: the files of a local run, on the right nodes."""

import copy
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.slurm.clones import clone, run
from tests.slurm.runs import jobs_of
from tests.tiny import CHAT, STUDY, contents, snakemake

# The GPUs of the tests' cluster are given out by SLURM as real ones are, but torch cannot compute on them: jobs that
# were promised one compute on the CPU all the same, locally and on the cluster.
ON_CPU = """

def device_for(*_, **__):
    return "cpu"
"""
GPU_RULES = ("build_base", "train_sft", "score_reference", "train_dpo", "verify_gguf", "evaluate_llm")


def small_study():
    """Stages market to report: two kinds of booster in blocks of folds, and a language model of one layer."""
    study = copy.deepcopy(CHAT) | {"ensembles": copy.deepcopy(STUDY["ensembles"])}
    stack, recipe = study["ensembles"]["up"], study["recipes"]["student"]
    # as few jobs as show what is to be seen: each costs five seconds of CPU time beside its work
    stack |= {"timeframes": {"1h": {}}, "peers": []}
    stack["folds"] |= {"per_job": 10}
    del stack["models"]["cross"]
    recipe |= {"phases": {"A": {}}}
    recipe["export"] |= {"quants": ["F32"], "lora": False, "min_agreement": {}}
    study["bases"]["tiny"] |= {"steps": 20}
    study["markets"]["made"]["partition"] = "quarter"
    study["markets"]["made"]["symbols"] = study["corpora"]["trading"]["symbols"] = ["AAA"]
    return study


def small_clone(folder):
    """A clone of it in which jobs with a GPU compute on the CPU."""
    clone(folder, small_study())
    policies = folder / "scripts/llm/policies.py"
    assert "def device_for(" in policies.read_text()
    policies.write_text(policies.read_text() + ON_CPU)
    return folder


class Watch(threading.Thread):
    """Looks at the cluster every second: which job holds which GPU. ``held``: sets of ``(gpu, job)`` seen at once."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.held, self.over = cluster, [], threading.Event()

    def run(self):
        while not self.over.wait(1):
            shown = self.cluster.client("scontrol", "show", "job", "--details", "--oneliner", check=False)
            jobs = [line for line in shown.splitlines() if "JobState=RUNNING" in line]
            found = [(re.search(r"GRES=gpu:fake:1\(IDX:(\d)\)", job), re.match(r"JobId=(\d+)", job)[1]) for job in jobs]
            self.held.append({(gpu[1], job) for gpu, job in found if gpu})


@pytest.fixture(scope="module")
def built(tmp_path_factory, running):
    """``(local checkout, cluster's checkout, what the run on the cluster printed, its jobs, GPUs held)``."""
    running.restore()
    local = small_clone(tmp_path_factory.mktemp("local") / "checkout")
    remote = small_clone(tmp_path_factory.mktemp("remote") / "checkout")
    watch = Watch(running)
    watch.start()
    with ThreadPoolExecutor(1) as beside:
        locally = beside.submit(snakemake, local)
        status, said = run(running, remote, "--set-resources", *(f"{rule}:gpu=1" for rule in GPU_RULES))
        locally.result()
    watch.over.set()
    watch.join()
    assert status == 0, said[-6000:]
    return local, remote, said, jobs_of(running, remote), watch.held


def test_every_artifact_is_the_one_of_a_local_run(built):
    local, remote, *_ = built
    expected, found = contents(local), contents(remote)
    assert sorted(set(found) ^ set(expected)) == []
    assert [name for name in expected if found[name] != expected[name]] == []
    assert len(expected) > 80


def test_jobs_with_a_gpu_ran_on_the_gpu_node_and_no_two_on_one_gpu(built):
    *_, jobs, held = built
    for job in jobs:
        assert job.state == "COMPLETED", job
        on_gpus = job.rule in GPU_RULES
        assert (job.partition, job.node == "g1") == (("gpu", True) if on_gpus else ("cpu", False)), job
    assert {job.rule for job in jobs} >= set(GPU_RULES)
    assert max(map(len, held)) == 2, "two GPUs were never in use at one time"
    for moment in held:
        gpus = [gpu for gpu, _ in moment]
        assert len(gpus) == len(set(gpus)), moment


def test_blocks_of_folds_ran_as_an_array_and_small_jobs_as_a_group(built):
    _, remote, _, jobs, _ = built
    blocks = [job for job in jobs if job.rule == "train_folds"]
    trained = list(remote.glob("results/tiny/ensemble/up/AAA/1h/*/folds/*.index.json"))
    assert len(blocks) == len(trained) > 2
    assert len({job.array_job for job in blocks}) == 1
    features = list(remote.glob("results/tiny/market/made/features/technical/1h/AAA/*.parquet"))
    assert len([job for job in jobs if "compute_features" in job.comment]) == 1 < len(features)


def test_a_second_run_submits_nothing(built, running):
    _, remote, _, jobs, _ = built
    status, said = run(running, remote)
    assert status == 0 and "Nothing to be done" in said
    assert [job.id for job in jobs_of(running, remote)] == [job.id for job in jobs]


def test_logs_are_in_one_place_and_the_efficiency_of_jobs_is_reported(built):
    _, remote, *_ = built
    assert not list(remote.glob("*.csv")) and not list(remote.glob("*.out"))
    report = next((remote / ".snakemake/slurm_efficiency").glob("*.csv")).read_text()
    assert "train_folds" in report or "rule_train_folds" in report


def test_a_job_that_was_promised_a_gpu_and_finds_none_fails_at_once(built, running):
    _, remote, *_ = built
    policies = remote / "scripts/llm/policies.py"
    policies.write_text(policies.read_text().removesuffix(ON_CPU))
    alone = ["--allowed-rules", "train_sft", "--forcerun", "train_sft", "--retries", "0"]
    target = "results/tiny/llm/student/sft/A/training.json"
    status, _ = run(running, remote, "--config", "device=cuda", *alone, "--", target)
    assert status == 1
    log = (remote / "results/tiny/logs/train_sft/student/A.log").read_text()
    assert "asked for 1 GPU and finds none" in log
    assert [job.node for job in jobs_of(running, remote) if job.rule == "train_sft"][-1] == "g1"
