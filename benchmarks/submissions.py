"""What a job costs beside its work: on this machine, one submission each, as an array, as one group.

    python benchmarks/submissions.py

The same nine jobs (`compute_features` of nine months, half a second of work each) are run in four ways, two at a time,
on the SLURM cluster of the tests (tests/slurm/cluster.py: it has to be installed) and without it. The plugin asks for
its jobs every second here; with its own pauses a submission takes up to ten seconds more. Prints a JSON line each:
wall and CPU seconds per job; then the ratios to the local run.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.slurm.clones import POLLING  # noqa: E402
from tests.slurm.cluster import Cluster, missing  # noqa: E402
from tests.slurm.studies import BOOSTERS  # noqa: E402
from tests.tiny import MONTHS, make_checkout, snakemake  # noqa: E402

RULE = "compute_features"
BARS = "results/tiny/market/made/manifest.json"
TARGETS = [f"results/tiny/market/made/features/technical/1h/AAA/{month}.parquet" for month in MONTHS]
SUBMITTED = ["--executor", "slurm", "--jobs", "20", "--latency-wait", "5", "--slurm-status-command", "squeue"]
SUBMITTED += ["--slurm-init-seconds-before-status-checks", "1", "--default-resources", "slurm_partition=cpu"]
WAYS = {
    "one submission each": [],
    "array": ["--slurm-array-jobs", RULE],
    "group": ["--groups", f"{RULE}=features", "--group-components", f"features={len(TARGETS)}"],
}


def main():
    """Run the jobs in every way and print what they took."""
    if reason := missing():
        sys.exit(f"no SLURM here: {reason}")
    with tempfile.TemporaryDirectory() as place, Cluster() as cluster:
        folder = make_checkout(Path(place) / "checkout", monthly(BOOSTERS))
        snakemake(folder, BARS)
        local = measure(folder, [sys.executable, "-m", "snakemake", "--cores", "2"], None)
        print_line(way="local", **local)
        for way, options in WAYS.items():
            command = [sys.executable, str(POLLING), "--cores", "2", *SUBMITTED, *options]
            found = measure(folder, command, cluster)
            ratios = {f"ratio_of_{each}": round(found[each] / local[each], 1) for each in ("wall_s", "cpu_s")}
            print_line(way=way, **found, **ratios)


def monthly(study):
    """The study with features by month."""
    return study | {"markets": {"made": study["markets"]["made"] | {"partition": "month"}}}


def measure(folder, command, cluster):
    """Wall and CPU seconds per job of a run: of the run itself and, by the accounting, of its jobs."""
    for path in TARGETS:
        Path(folder, path).unlink(missing_ok=True)
    environment = cluster.environment(folder) if cluster else None
    before, begun = own_seconds(), time.monotonic()
    done = subprocess.run(
        [*command, "--", *TARGETS], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr[-4000:])
    wall, run = time.monotonic() - begun, own_seconds() - before
    jobs = submitted_seconds(cluster) if cluster else 0.0
    return {
        "jobs": len(TARGETS),
        "wall_s": round(wall / len(TARGETS), 2),
        "cpu_s": round((run + jobs) / len(TARGETS), 2),
    }


def own_seconds():
    """CPU seconds of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def submitted_seconds(cluster):
    """CPU seconds of the jobs of the last run on the cluster."""
    time.sleep(2)  # for the accounting
    rows = cluster.accounts("JobName", "TotalCPU")
    jobs = [row for row in rows if "." not in row["JobID"]]
    last = jobs[-1]["JobName"]  # a run's id is the name of its jobs
    return sum(seconds(row["TotalCPU"]) for row in jobs if row["JobName"] == last)


def seconds(text):
    """sacct's [days-][hours:]minutes:seconds."""
    days, _, clock = text.rpartition("-")
    parts = [float(each) for each in clock.split(":")]
    return int(days or 0) * 86400 + sum(each * 60**place for place, each in enumerate(reversed(parts)))


def print_line(**figures):
    """One JSON line."""
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
