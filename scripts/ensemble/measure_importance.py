"""Feature importance of every base model over its folds."""

import pandas as pd

from scripts.common.atomic import write_table
from scripts.common.job import run
from scripts.common.results import read_json
from scripts.ensemble.importance import gain_shares


def main(job):
    """Read all indexes, model by model, and write one table."""
    each = len(job.params.blocks)
    tables = []
    for number, model in enumerate(job.params.models):
        indexes = [read_json(path) for path in job.input.indexes[number * each : (number + 1) * each]]
        tables.append(gain_shares(model, indexes))
    write_table(job.output[0], pd.concat(tables, ignore_index=True))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
