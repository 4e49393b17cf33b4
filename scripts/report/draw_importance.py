"""The most used features of a stack's base models."""

import pandas as pd

from scripts.common.job import run
from scripts.report import importance_figure


def main(job):
    """Draw importance.parquet."""
    table, wildcards = pd.read_parquet(job.input.importance), job.wildcards
    stack = f"{wildcards.ensemble}, {wildcards.target}, {wildcards.timeframe}"
    shown = f"top {importance_figure.SHOWN} of each model, {table['folds'].iloc[0]} folds"
    importance_figure.draw(job.output[0], table, f"{stack}: feature importance, {shown}")


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
