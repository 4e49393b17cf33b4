"""`make slurm-check` against a real cluster, as a newcomer runs it in a fresh clone."""

import subprocess
import sys

import pytest

from tests.planning import ROOT
from tests.slurm.clones import SITE, clone
from tests.tiny import STUDY


def check(cluster, folder):
    environment = cluster.environment()
    plan = [sys.executable, "-m", "snakemake", "--dry-run", *SITE]
    planned = subprocess.run(plan, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    looked = [sys.executable, "-m", "scripts.execution.check_slurm", "profiles/slurm"]
    text = planned.stdout + planned.stderr
    return subprocess.run(looked, cwd=folder, env=environment, input=text, capture_output=True, text=True, timeout=120)


@pytest.fixture
def fresh(tmp_path):
    return clone(tmp_path / "checkout", STUDY)


def test_a_fresh_clone_is_told_what_to_put(running, fresh):
    """The partitions that it prints are those that it then finds right."""
    partitions = fresh / "profiles/slurm/partitions.yaml"
    partitions.write_bytes((ROOT / "profiles/slurm/partitions.yaml").read_bytes())
    first = check(running, fresh)
    assert first.returncode == 1 and "max_gpu of 'gpu' is 8, its nodes have at most 2" in first.stdout
    told = first.stdout.split("partitions.yaml for it:\n")[1].split("\n\n")[0]
    partitions.write_text("\n".join(line[2:] for line in told.splitlines()) + "\n")
    second = check(running, fresh)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "Everything that is planned can run here." in second.stdout
    assert "cpu (default): 2 x 4 CPUs" in second.stdout and "2 fake" in second.stdout


def test_a_job_that_fits_on_no_node_is_named(running, fresh):
    market = fresh / "rules/market.smk"
    market.write_text(market.read_text().replace("mem_mb=megabytes(1000, per_input=20)", "mem_mb=900000"))
    done = check(running, fresh)
    assert done.returncode == 1
    assert "PROBLEM: ingest_symbol (market=made, symbol=AAA) can never be scheduled: it asks for 900000" in done.stdout
