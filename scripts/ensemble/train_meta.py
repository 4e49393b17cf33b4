"""The stacking meta-model: its walk-forward predictions, and its coefficients from all out-of-fold rows."""

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from scripts.common.atomic import write_table
from scripts.common.job import progress, run
from scripts.common.periods import iso
from scripts.common.results import read_json, write_result
from scripts.ensemble import metas, stacking


def main(job):
    """Stack the models that were not pruned, and the extras."""
    params, kind = job.params, metas.load(job.params.kind)
    oof, models = pd.read_parquet(job.input.oof), read_json(job.input.diversity)["kept"]
    names = stacking.inputs(models, params.extra)
    x, y = oof[names].to_numpy(dtype=float), oof["y"].to_numpy()
    timestamp, t1 = (oof[column].dt.tz_localize(None).to_numpy() for column in ("timestamp", "t1"))
    first, step = stacking.schedule(len(oof))
    common = {"probabilities": len(models), "settings": params.settings, "seed": params.seed}
    with threadpool_limits(job.threads):  # BLAS: the same sums in the same order on every machine
        p = stacking.walk_forward(kind, x, y, timestamp, t1, first=first, step=step, **common)
        coefficients = kind.fit(x, y, **common)

    stacked = oof[["timestamp", "fold", "y", "t1"]].assign(p_stack=p)
    write_table(job.output.stacked, stacked[~np.isnan(p)].reset_index(drop=True))
    progress.info(
        "%s of %s: %d rows, %d of them predicted walk-forward",
        params.kind,
        ", ".join(names),
        len(oof),
        len(oof) - first,
    )
    body = {
        "kind": params.kind,
        "models": models,
        "extra": params.extra,
        "inputs": names,
        "coefficients": coefficients,
        "rows": len(oof),
        "window": {"start": iso(oof["timestamp"].iloc[0]), "end": iso(oof["t1"].max())},
        "walk_forward": {"first": first, "step": step, "rows": len(oof) - first},
    }
    write_result(job.output.meta, "stacking_meta/1", body, job)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
