"""The correlations of a stack's out-of-fold predictions."""

from scripts.common.job import run
from scripts.common.results import read_json
from scripts.report import correlation_figure


def main(job):
    """Draw diversity.json."""
    wildcards = job.wildcards
    title = f"{wildcards.ensemble}, {wildcards.target}, {wildcards.timeframe}: rank correlation of predictions"
    correlation_figure.draw(job.output[0], read_json(job.input.diversity), title)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
