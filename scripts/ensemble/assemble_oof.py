"""Join the out-of-fold predictions of all base models with labels and the meta-model's extra inputs."""

import pandas as pd

from scripts.common.atomic import write_table
from scripts.common.job import progress, run
from scripts.common.results import read_json
from scripts.ensemble import oof, rows


def main(job):
    """Check every block against its index, join over all models, add the extras."""
    params, each = job.params, len(job.params.blocks)
    predictions = {}
    for number, model in enumerate(params.models):
        own = slice(number * each, (number + 1) * each)
        blocks = []
        for path, index in zip(job.input.oof[own], job.input.indexes[own], strict=True):
            blocks.append(pd.read_parquet(path))
            oof.check_block(read_json(index), blocks[-1], model=model, path=path)
        predictions[model] = pd.concat(blocks, ignore_index=True)
    table = oof.join(predictions, pd.concat([pd.read_parquet(path) for path in job.input.labels], ignore_index=True))

    periods = len(job.input.labels)
    for number, (name, column) in enumerate(zip(params.extra, params.extra_columns, strict=True)):
        files = job.input.extras[number * periods : (number + 1) * periods]
        table = oof.with_column(table, name, *rows.read_column(files, column))
    write_table(job.output[0], table)
    counts = ", ".join(f"{model} {len(frame)}" for model, frame in predictions.items())
    progress.info("%d rows that all models predicted (%s)", len(table), counts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
