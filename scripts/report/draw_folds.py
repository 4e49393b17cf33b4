"""The fold timeline of a stack."""

from scripts.common.job import run
from scripts.common.results import read_json
from scripts.report import fold_figure


def main(job):
    """Draw the windows of folds.json."""
    plan, wildcards = read_json(job.input.folds), job.wildcards
    title = f"{wildcards.ensemble}, {wildcards.target}, {wildcards.timeframe}: {len(plan['folds'])} walk-forward folds"
    fold_figure.draw(job.output[0], plan, job.params.folds, job.params.horizon, title)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
