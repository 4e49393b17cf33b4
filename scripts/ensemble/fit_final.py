"""The model that is exported: trained on the last window before the hold-out, with the rounds of the typical fold."""

import hashlib
from pathlib import Path

import numpy as np

from scripts.common.atomic import replacing
from scripts.common.job import progress, run
from scripts.common.results import read_json, write_result
from scripts.ensemble import folds, models, rows


def main(job):
    """Take the median of the folds' rounds, so that no row of the hold-out chooses them; train and save."""
    params, kind = job.params, models.load(job.params.kind)
    rounds = median_rounds([read_json(path) for path in job.input.indexes])
    table = rows.load(job.input.features, params.sets, job.input.labels, panels=params.panels)
    chosen = folds.window_rows(params.window, table.timestamp, table.t1)
    folds.require_both_classes(table.y, chosen, "the final window")
    data = kind.prepare(table.x, table.y, table.names, chosen, params.settings, job.threads, params.seed)
    model = kind.fit(data, chosen, chosen[:0], params.settings, rounds)
    with replacing(job.output.model) as path:
        model.save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    progress.info("%d rounds on %d rows", model.rounds, len(chosen))
    body = {
        "model": job.wildcards.model,
        "kind": params.kind,
        "file": Path(job.output.model).name,
        "sha256": digest,
        "features": table.names,
        "rounds": model.rounds,
        "rows": len(chosen),
        "window": params.window,
    }
    write_result(job.output.card, "card/1", body, job)


def median_rounds(indexes):
    """The median of the folds' rounds, rounded, over all blocks of a model."""
    return round(np.median([fold["rounds"] for index in indexes for fold in index["folds"]]))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
