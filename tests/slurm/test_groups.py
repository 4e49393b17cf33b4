"""Groups beside a checkpoint: what scripts/execution/groups.py mends, on a workflow of a few seconds."""

import subprocess
import sys
from collections import Counter

from tests.planning import ROOT
from tests.slurm.runs import POLLING

SNAKEFILE = """
import sys
sys.path.insert(0, {root!r})
from scripts.execution import groups

def later(wildcards):
    checkpoints.decide.get()
    return [f"late{{i}}" for i in range(2)]

onstart:
    groups.make_safe(workflow.dag)

rule all:
    input: [f"early{{i}}" for i in range(4)], later

rule wait_long:
    output: "{{name}}"
    wildcard_constraints: name="(early|late).*"
    params: seconds=lambda wildcards: 7 if wildcards.name.startswith("early") else 0
    resources: mem_mb=500, runtime=5
    shell: "echo {{output}} >> ran; sleep {{params.seconds}}; touch {{output}}"

checkpoint decide:
    output: "decided"
    resources: mem_mb=500, runtime=5
    shell: "touch {{output}}"
"""


def test_a_checkpoint_that_ends_while_groups_run_makes_no_job_run_twice(cluster, tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(root=str(ROOT)))
    command = [sys.executable, str(POLLING), "--executor", "slurm", "--jobs", "20", "--cores", "4"]
    command += ["--groups", "wait_long=waits", "--group-components", "waits=2", "--slurm-status-command", "squeue"]
    command += ["--slurm-init-seconds-before-status-checks", "1", "--default-resources", "slurm_partition=cpu"]
    done = subprocess.run(command, cwd=tmp_path, env=cluster.environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    ran = Counter((tmp_path / "ran").read_text().split())
    assert ran == Counter([f"early{i}" for i in range(4)] + ["late0", "late1"])
    assert len([job for job in cluster.jobs() if job.comment.startswith("rule_waits")]) == 3
