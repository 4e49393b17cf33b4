"""make slurm-check: what a newcomer is told, on recorded answers of clusters of several kinds."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.common.errors import StudyError
from scripts.execution import check_slurm, sites
from scripts.execution.demands import read_demands, read_profile

ROOT = Path(__file__).parents[2]
NODES = """c1|cpu*|idle|4|8000|(null)|10:00:00
c2|cpu*|mixed|4|8000|(null)|10:00:00
g1|gpu|idle|4|8000|gpu:fake:2(S:0-1)|2-00:00:00
"""
CONFIG = """Configuration data as of 2026-01-01T00:00:00
AccountingStorageEnforce = {enforce}
AccountingStorageType   = {accounting}
ClusterName             = loop
MaxArraySize            = {array}
MinJobAge               = {age} sec
SelectType              = {select}
SLURM_VERSION           = 22.05.8

Slurmctld(primary) at host is UP
"""
USUAL = {
    "enforce": "none",
    "accounting": "accounting_storage/slurmdbd",
    "array": 1001,
    "age": 300,
    "select": "select/cons_tres",
}
PARTITIONS = "partitions:\n  cpu: {}\n  gpu:\n    max_gpu: 2\n"


def job(rule="fit_final", threads=1, **resources):
    asked = {"mem_mb": 1000, "mem": "1 GB", "runtime": 30} | resources
    said = ", ".join(f"{name}={value}" for name, value in asked.items())
    return f"\nrule {rule}:\n    jobid: 1\n    wildcards: target=AAA\n    threads: {threads}\n    resources: {said}\n"


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """``answers(nodes=..., associations=..., default=..., **config)``: clients on PATH that give recorded answers."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("SLURM_CONF", raising=False)
    (tmp_path / "bin").mkdir()

    def answers(nodes=NODES, associations="lab|\nteam|500\n", default="lab", **config):
        clients = {
            "sinfo": f"cat <<'E'\n{nodes}E\n",
            "scontrol": f"cat <<'E'\n{CONFIG.format(**USUAL | config)}E\n",
            "sacctmgr": f"case $3 in assoc) cat <<'E'\n{associations}E\n;; *) echo {default};; esac\n",
        }
        for name, text in clients.items():
            path = tmp_path / "bin" / name
            path.write_text(f"#!/bin/sh\n{text}")
            path.chmod(0o755 | stat.S_IXUSR)

    return answers


def checked(tmp_path, *jobs, partitions=PARTITIONS, **changes):
    """``(report, problems)`` of the repository's profile with the partitions of the made-up cluster."""
    folder = tmp_path / "slurm"
    folder.mkdir(exist_ok=True)
    text = (ROOT / "profiles/slurm/config.yaml").read_text()
    for key, value in changes.items():
        text = re.sub(rf"^{key.replace('_', '-')}:.*$", f"{key.replace('_', '-')}: {value}", text, flags=re.M)
    (folder / "config.yaml").write_text(text)
    (folder / "partitions.yaml").write_text(partitions)
    report, problems = check_slurm.check(
        sites.read_site(), read_profile(folder), read_demands("Building\n" + "".join(jobs or [job()]))
    )
    return "\n".join(report), problems


def test_a_study_that_fits_has_no_problem(cluster, tmp_path):
    cluster()
    report, problems = checked(tmp_path, job(), job("train_sft", gpu=1, runtime=1440))
    assert problems == []
    assert re.search(r"fit_final +1 +cpu +1 +1000 +30 +0", report)
    assert re.search(r"train_sft +1 +gpu +1 +1000 +1440 +1", report)
    assert "1 x 4 CPUs 8000 MB 2 fake" in report


def test_gpu_hours_are_those_of_the_time_limits(cluster, tmp_path):
    cluster()
    report, _ = checked(
        tmp_path, job(runtime=600), job("train_sft", gpu=2, runtime=90), job("train_dpo", gpu=1, runtime="<TBD>")
    )
    assert "time limit: 3.0 of 1 jobs; 1 more have a limit once their inputs are there." in report
    assert "GPU hours" not in checked(tmp_path, job())[0]


def test_jobs_of_a_group_are_read_as_others_are():
    text = """Building DAG of jobs...
[Sat Nov 21 16:16:40 2026] Group job features (jobs in lexicogr. order):

    [Sat Nov 21 16:16:40 2026]
    rule compute_features:
        input: bars/AUDJPY.parquet
        wildcards: market=forex, period=2012
        resources: tmpdir=/tmp, mem_mb=624, mem=624 MB, runtime=12
Shell command: None

    [Sat Nov 21 16:16:40 2026]
    rule compute_features:
        wildcards: market=forex, period=2013
        threads: 2
        resources: tmpdir=/tmp, mem_mb=<TBD>, runtime=12
Shell command: None
[Sat Nov 21 16:16:41 2026]
checkpoint plan_folds:
    wildcards: ensemble=up
    resources: tmpdir=/tmp, mem_mb=600, runtime=5
"""
    found = [(each.rule, each.wildcards, each.threads, each.memory, each.minutes) for each in read_demands(text)]
    assert found == [
        ("compute_features", "market=forex, period=2012", 1, 624, 12),
        ("compute_features", "market=forex, period=2013", 2, None, 12),
        ("plan_folds", "ensemble=up", 1, 600, 5),
    ]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"mem_mb": 9000}, "9000 MB of memory, the nodes of partition 'cpu' have at most 8000"),
        ({"threads": 8}, "8 threads, the nodes of partition 'cpu' have at most 4"),
        ({"runtime": 700}, "700 minutes, partition 'cpu' ends jobs after 600"),
        ({"gpu": 2, "threads": 5}, "5 threads, the nodes of partition 'gpu' have at most 4"),
        ({"gpu": 1, "gpu_model": "a100"}, "a GPU 'a100', partition 'gpu' has: fake"),
        ({"gres": "gpu:2", "mem_mb": 8001}, "8001 MB of memory, the nodes of partition 'gpu'"),
    ],
)
def test_a_job_that_no_node_can_take_is_named_with_what_is_too_much(cluster, tmp_path, asked, said):
    cluster()
    _, problems = checked(tmp_path, job("fit_final"), job("train_meta", **asked))
    assert len(problems) == 1 and problems[0].startswith("train_meta (target=AAA) can never be scheduled")
    assert said in problems[0]


def test_more_gpus_than_a_node_has(cluster, tmp_path):
    cluster()
    _, problems = checked(tmp_path, job("train_sft", gpu=4), partitions=PARTITIONS.replace("2", "4"))
    assert any("max_gpu of 'gpu' is 4, its nodes have at most 2" in each for each in problems)
    assert any("4 GPUs, the nodes of partition 'gpu' have at most 2" in each for each in problems)


def test_a_node_that_is_down_takes_no_job(cluster, tmp_path):
    cluster(nodes=NODES.replace("g1|gpu|idle", "g1|gpu|drained"))
    _, problems = checked(tmp_path, job("train_sft", gpu=1))
    assert any("no node that takes jobs" in each for each in problems)


def test_partitions_that_the_cluster_does_not_have(cluster, tmp_path):
    cluster(nodes=NODES.replace("|cpu*|", "|batch*|").replace("|gpu|", "|a100|"))
    report, problems = checked(tmp_path)
    assert any("no partition 'cpu' here. There are: batch, a100." in each for each in problems)
    assert "    batch: {}\n    a100:\n      max_gpu: 2" in report


@pytest.mark.parametrize(
    ("answers", "changes", "said"),
    [
        ({"default": "''", "enforce": "associations,limits"}, {}, "set slurm_account. Yours: lab, team."),
        ({}, {"jobs": 800}, "set jobs: 500"),
        ({"age": 5}, {}, "MinJobAge"),
        ({"array": 1}, {}, "take slurm-array-jobs out"),
        ({"select": "select/cons_res"}, {}, "for gres"),
    ],
)
def test_settings_against_the_limits_of_the_cluster(cluster, tmp_path, answers, changes, said):
    cluster(**answers)
    _, problems = checked(tmp_path, job("train_sft", gpu=1), **changes)
    assert len(problems) == 1 and said in problems[0]


def test_a_group_that_is_larger_than_a_node(cluster, tmp_path):
    cluster()
    jobs = [job("compute_features", mem_mb=1500) for _ in range(16)]
    _, problems = checked(tmp_path, *jobs, cores=8)
    assert len(problems) == 1 and "8 jobs of group 'features'" in problems[0] and "12000 MB" in problems[0]
    assert checked(tmp_path, *jobs, cores=4)[1] == []


def test_memory_that_is_not_known_yet_is_no_problem_and_is_said(cluster, tmp_path):
    cluster()
    report, problems = checked(tmp_path, job(mem_mb="<TBD>", mem="<TBD>"))
    assert problems == [] and re.search(r"fit_final +1 +cpu +1 +\? +30", report)


def test_without_accounting_nothing_is_asked_of_it(cluster, tmp_path):
    cluster(accounting="accounting_storage/none", associations="", default="; exit 1")
    report, problems = checked(tmp_path)
    assert problems == [] and "slurm-efficiency-report stays empty" in report


def test_a_client_that_hangs_or_is_not_there_is_one_clear_error(cluster, tmp_path, monkeypatch):
    cluster()
    (tmp_path / "bin/sinfo").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(sites, "ask", lambda *command: sites_ask(*command, seconds=0.2))
    with pytest.raises(StudyError, match="did not answer within 0.2 s"):
        sites.read_site()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StudyError, match="There is no sinfo here"):
        sites.read_site()


sites_ask = sites.ask


def test_a_plan_that_failed_is_shown_and_ends_with_1(cluster):
    cluster()
    command = [sys.executable, "-m", "scripts.execution.check_slurm", "profiles/slurm"]
    done = subprocess.run(command, cwd=ROOT, input="WorkflowError: no such key", capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == "WorkflowError: no such key\n"


@pytest.mark.parametrize(
    ("limit", "minutes"),
    [("2-00:00:00", 2880), ("1-12", 2160), ("1:30:00", 90), ("30:00", 30), ("infinite", float("inf"))],
)
def test_time_limits(limit, minutes):
    assert sites.minutes_of(limit) == minutes


def test_gpus_of_a_node():
    assert sites.gpus_of("gpu:a100:4(S:0-1),gpu:v100:2,shard:8") == {"a100": 4, "v100": 2}
    assert sites.gpus_of("gpu:2") == {"": 2} and sites.gpus_of("(null)") == {} and sites.gpus_of("gpu") == {"": 1}
