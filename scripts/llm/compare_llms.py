"""The artifacts of a recipe in one table, and the differences between them with paired intervals."""

import json

from scripts.common.job import progress, run
from scripts.common.results import read_json, write_result
from scripts.common.statistics.outcomes import outcome
from scripts.llm import comparisons, evaluations


def main(job):
    """Read every artifact's evaluation and answers, compare pair by pair."""
    params = job.params
    names = list(params.artifacts)
    found = dict(zip(names, map(read_json, job.input.evaluations), strict=True))
    rows = dict(zip(names, map(_rows, job.input.answers), strict=True))
    pairs = comparisons.default_pairs({name: found[name]["backend"] for name in names})
    artifacts = {name: ({each: own["kind"] for each, own in found[name]["sets"].items()}, rows[name]) for name in names}
    compared = comparisons.compare(pairs, artifacts, params.seed)
    for each in compared:
        if each["part"] is None and outcome(each) in ("better", "worse"):
            progress.info("%s, %s: %s", each["set"], each["figure"], each["verdict"])
    body = {
        "artifacts": names,
        "note": comparisons.NOTE,
        "table": {
            name: {each: own["figures"] for each, own in found[name]["sets"].items()} | {"model": found[name]["model"]}
            for name in names
        },
        "comparisons": evaluations.rounded(compared),
    }
    write_result(job.output[0], "comparison/1", body, job)


def _rows(path):
    """``{set: {id: row}}`` of a file of answers."""
    found = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            found.setdefault(row["set"], {})[row["id"]] = row
    return found


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
