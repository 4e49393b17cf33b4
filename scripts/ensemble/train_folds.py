"""Train a block of folds of one model: a file per fold, their index, and the out-of-fold predictions.

Each fold is kept as soon as it is trained: a killed job goes on with the fold at which it was.
"""

import hashlib
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.common.atomic import replacing, write_json, write_table
from scripts.common.job import progress, run
from scripts.common.results import read_json, write_result
from scripts.common.training.states import State
from scripts.ensemble import models, rows
from scripts.ensemble.blocks import train_block

ENTRY, PLACES, P = "entry.json", "places.npy", "p.npy"


def main(job):
    """Read the block's rows, train fold after fold, write models, predictions and index."""
    params, kind = job.params, models.load(job.params.kind)
    table = rows.load(job.input.features, params.sets, job.input.labels, panels=params.panels)
    with state_of(job) as state:
        done, said = {each.step for each in state.checkpoints()}, time.monotonic()
        options = {"threads": job.threads, "seed": params.seed, "skip": done}
        for fold in train_block(kind, table, params.windows, params.settings, **options):
            keep(state, fold, kind.EXTENSION)
            done.add(fold.number)
            if time.monotonic() - said > 5:
                progress.info("fold %d of %d", len(done), len(params.windows))
                said = time.monotonic()
        kept = [state.checkpoint_folder(window["fold"]) for window in params.windows]
        entries = [read_json(folder / ENTRY) for folder in kept]
        with replacing(job.output.folds) as folder:
            folder.mkdir()
            for each, entry in zip(kept, entries, strict=True):
                shutil.copyfile(each / entry["file"], folder / entry["file"])
        write_table(job.output.oof, predictions(table, kept))
        body = {"model": job.wildcards.model, "kind": params.kind, "features": table.names, "folds": entries}
        write_result(job.output["index"], "index/1", body, job)
        state.close()


def state_of(job):
    """The state of the block below `.work`: its checkpoints are the folds that are trained."""
    key = "/".join(str(value) for _, value in job.wildcards.items())
    return State.open(Path(".work", Path(job.output["index"]).parts[1]), "train_folds", key, job)


def keep(state, fold, extension):
    """Put a trained fold, what the index says of it and its predictions into ``state``."""
    folder = state.checkpoint_folder(fold.number)
    folder.mkdir()
    path = folder / f"fold_{fold.number}.{extension}"
    fold.model.save(path)
    write_json(folder / ENTRY, entry(fold, path))
    np.save(folder / PLACES, fold.test_rows, allow_pickle=False)
    np.save(folder / P, fold.p, allow_pickle=False)
    state.complete(fold.number)


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


def predictions(table, kept):
    """The out-of-fold rows of a block, from the folders of its folds: timestamp, fold, p."""
    places = [np.load(folder / PLACES, allow_pickle=False) for folder in kept]
    numbers = [read_json(folder / ENTRY)["fold"] for folder in kept]
    return pd.DataFrame(
        {
            "timestamp": pd.DatetimeIndex(table.timestamp[np.concatenate(places)], tz="UTC"),
            "fold": np.repeat(numbers, [len(each) for each in places]).astype("int32"),
            "p": np.concatenate([np.load(folder / P, allow_pickle=False) for folder in kept]),
        }
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
