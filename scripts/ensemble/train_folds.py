"""Train a block of folds of one model: a file per fold, their index, and the out-of-fold predictions."""

import hashlib
import time

import numpy as np
import pandas as pd

from scripts.common.atomic import replacing, write_table
from scripts.common.job import progress, run
from scripts.common.results import write_result
from scripts.ensemble import models, rows
from scripts.ensemble.blocks import train_block


def main(job):
    """Read the block's rows, train fold after fold, write models, predictions and index."""
    params, kind = job.params, models.load(job.params.kind)
    table = rows.load(job.input.features, params.sets, job.input.labels, panels=params.panels)
    trained, entries, said = [], [], time.monotonic()
    with replacing(job.output.folds) as folder:
        folder.mkdir()
        for fold in train_block(kind, table, params.windows, params.settings, threads=job.threads, seed=params.seed):
            path = folder / f"fold_{fold.number}.{kind.EXTENSION}"
            fold.model.save(path)
            entries.append(entry(fold, path))
            trained.append(fold)
            if time.monotonic() - said > 5:
                progress.info("fold %d of %d", len(trained), len(params.windows))
                said = time.monotonic()
    write_table(job.output.oof, predictions(table, trained))
    body = {"model": job.wildcards.model, "kind": params.kind, "features": table.names, "folds": entries}
    write_result(job.output["index"], "index/1", body, job)


def entry(fold, path):
    """What the index says of a fold. ``early_stopping_auc`` chose the rounds and is never a result."""
    return {
        "fold": fold.number,
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "rows": fold.rows,
        "rounds": fold.model.rounds,
        "early_stopping_auc": fold.model.early_stopping_auc,
        "window_test_auc": fold.window_test_auc,
        "gain": [float(each) for each in fold.model.gain],
    }


def predictions(table, trained):
    """The out-of-fold rows of a block: timestamp, fold, p."""
    places = np.concatenate([fold.test_rows for fold in trained])
    return pd.DataFrame(
        {
            "timestamp": pd.DatetimeIndex(table.timestamp[places], tz="UTC"),
            "fold": np.repeat([fold.number for fold in trained], [len(fold.p) for fold in trained]).astype("int32"),
            "p": np.concatenate([fold.p for fold in trained]),
        }
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
