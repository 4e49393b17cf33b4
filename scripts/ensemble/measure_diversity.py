"""Correlations of the base models' out-of-fold predictions and what is pruned for them."""

import pandas as pd

from scripts.common.job import run
from scripts.common.results import write_result
from scripts.ensemble.diversity import measure


def main(job):
    """Measure the columns p_<model> of the out-of-fold matrix."""
    oof = pd.read_parquet(job.input.oof)
    predictions = oof.filter(regex="^p_").rename(columns=lambda name: name.removeprefix("p_"))
    limits = {"max_correlation": job.params.max_correlation, "prune": job.params.prune}
    write_result(job.output[0], "diversity/1", measure(predictions, oof["y"].to_numpy(), **limits), job)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
