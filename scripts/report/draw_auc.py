"""The AUCs of a stack and its base models."""

from scripts.common.job import run
from scripts.common.results import read_json
from scripts.report import auc_figure


def main(job):
    """Draw metrics.json and the gate's limits."""
    metrics, wildcards = read_json(job.input.metrics), job.wildcards
    limits = {rule["name"]: rule["threshold"] for rule in read_json(job.input.gate)["rules"]}
    title = f"{wildcards.ensemble}, {wildcards.target}, {wildcards.timeframe}: AUC"
    auc_figure.draw(job.output[0], metrics, limits, title)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
