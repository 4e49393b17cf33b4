"""The figures of a stack and the verdict on it. A refusal is a result, not an error: promotion stops, nothing else."""

import pandas as pd

from scripts.common.job import progress, run
from scripts.common.results import read_json, write_result
from scripts.ensemble import gates, metrics


def main(job):
    """Write metrics.json and gate.json; of a skipped ensemble nothing is read."""
    params, decision = job.params, job.params.decision
    if decision["decision"] == "skip":
        body, figures = gates.skipped(decision["reason"]), {}
    else:
        figures = read_figures(job)
        body = gates.judge(figures, params.gates, rows=figures["oof_all_rows"]["rows"])
    progress.info("%s: %s", body["verdict"], body["reason"])
    write_result(job.output.metrics, "metrics/1", {"decision": decision} | figures, job)
    write_result(job.output.gate, "gate/1", body, job)


def read_figures(job):
    """The figures of metrics.json, and what was stacked."""
    meta, diversity = read_json(job.input.meta), read_json(job.input.diversity)
    figures = metrics.collect(
        list(job.params.models),
        pd.read_parquet(job.input.oof),
        pd.read_parquet(job.input.stacked),
        pd.read_parquet(job.input.test) if job.input.get("test") else None,
        [read_json(path) for path in job.input.indexes],
        horizon=job.params.horizon,
        permutations=job.params.gates["permutations"],
    )
    return figures | {"meta": {key: meta[key] for key in ("kind", "models", "extra")}, "pruned": diversity["pruned"]}


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
