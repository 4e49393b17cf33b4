"""The job of every rule that took most memory in a study that was built, as JSON: what test_requests.py checks.

`python -m tests.plan.record_peaks FOLDER STUDY > tests/plan/recorded_peaks.json`
"""

import json
import os
import sys
from pathlib import Path

from scripts.common import attempts
from scripts.report import timings

MB = 2**20


def heaviest(study):
    """A record per rule of the study ``results/<study>`` of the working directory, those with most memory."""
    accounts = attempts.read_all(study)
    sampled = timings.peaks(timings.read(f"results/{study}/benchmarks"))
    found = {}
    for made in metadata():
        job = Path(made["log"][0]).relative_to(f"results/{study}/logs").with_suffix("").as_posix()
        tries = [each for each in accounts.get(job, []) if each.outcome == attempts.DONE]
        if tries:
            peak = max(tries[-1].peak_mb, sampled.get(job, 0))
            if peak > found.get(made["rule"], {"peak_mb": 0})["peak_mb"]:
                found[made["rule"]] = record(made, job, peak, tries[-1].seconds)
    return [found[rule] for rule in sorted(found)]


def metadata():
    """Snakemake's records of the working directory's outputs."""
    for path in sorted(Path(".snakemake/metadata").rglob("*")):
        content = json.loads(path.read_text()) if path.is_file() and path.name != "migration_underway" else {}
        if content.get("rule") and content.get("log"):
            yield content


def record(made, job, peak, seconds):
    """What a request may depend on, and what the job took."""
    folders = [each for each in made["input"] if os.path.isdir(each)]
    inside = [file for folder in folders for file in Path(folder).rglob("*") if file.is_file()]
    files = [each for each in made["input"] if os.path.isfile(each)]
    found = {"rule": made["rule"], "job": job, "peak_mb": round(peak), "seconds": round(seconds, 1)}
    found["files_mb"] = round(sum(map(os.path.getsize, files)) / MB, 3)
    found["folder_mb"] = round(sum(file.stat().st_size for file in inside) / MB, 3)
    for name in files:
        if name.endswith("preflight.json") and made["rule"].startswith("train_"):
            found["preflight"] = trimmed(json.loads(Path(name).read_text()), made["rule"], job)
    plan = Path("results", made["log"][0].split("/")[1], "ensemble", *job.split("/")[1:4], "folds.json")
    if made["rule"] in ("train_folds", "fit_final"):
        found["folds"] = len(json.loads(plan.read_text())["folds"])
    return found


def trimmed(preflight, rule, job):
    """What a preflight says of the stage that a job trains."""
    stage = f"sft-{job.split('/')[-1]}" if rule == "train_sft" else rule.removeprefix("train_")
    of_it = preflight["stages"][stage]
    memory = {"cpu": {"bytes": of_it["memory"]["cpu"]["bytes"]}}
    return {"parameters": preflight["parameters"], "stages": {stage: {"memory": memory, "tokens": of_it["tokens"]}}}


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    print("[\n" + ",\n".join(json.dumps(each) for each in heaviest(sys.argv[2])) + "\n]")
