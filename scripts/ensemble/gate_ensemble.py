"""The figures of a stack and the verdict on it. A refusal is a result, not an error: promotion stops, nothing else."""

import pandas as pd

from scripts.common.job import progress, run
from scripts.common.results import read_json, write_result
from scripts.ensemble import gates, metrics


def main(job):
    """Write metrics.json and gate.json; of a skipped ensemble nothing is read."""
    params = job.params
    decision = params.decision
    if decision["decision"] == "skip":
        body, figures = gates.skipped(decision["reason"]), None
    else:
        oof, stacked = pd.read_parquet(job.input.oof), pd.read_parquet(job.input.stacked)
        test = pd.read_parquet(job.input.test) if job.input.get("test") else None
        indexes = [read_json(path) for path in job.input.indexes]
        figures = metrics.collect(
            list(params.models),
            oof,
            stacked,
            test,
            indexes,
            horizon=params.horizon,
            permutations=params.gates["permutations"],
        )
        body = gates.judge(figures, params.gates, len(oof))
    progress.info("%s: %s", body["verdict"], body["reason"])
    write_result(job.output.metrics, "metrics/1", {"decision": decision, "metrics": figures}, job)
    write_result(job.output.gate, "gate/1", body, job)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
