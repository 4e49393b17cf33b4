"""The hold-out, read once: predictions of the final models and of the stack for rows that no training has seen."""

import pandas as pd

from scripts.common.atomic import write_table
from scripts.common.errors import StudyError
from scripts.common.job import progress, run
from scripts.common.results import read_json
from scripts.ensemble import folds, metas, models, rows, stacking


def main(job):
    """Score the labelled rows of the hold-out with every base model and with the meta-model on top."""
    params, meta = job.params, read_json(job.input.meta)
    sets = list(dict.fromkeys(each for own in params.sets for each in own))
    table = rows.load(job.input.features, sets, job.input.labels, panels=params.panels)
    held = folds.window_rows(params.window, table.timestamp, table.t1)
    if not len(held):
        raise StudyError(
            f"the hold-out {params.window['start']} to {params.window['end']} has no labelled bar: set `folds.holdout` "
            "to a longer one, or to 0 for none"
        )
    frame = pd.DataFrame(
        {
            "timestamp": pd.DatetimeIndex(table.timestamp[held], tz="UTC"),
            "y": table.y[held],
            "t1": pd.DatetimeIndex(table.t1[held], tz="UTC"),
            "forward_return": table.forward_return[held],
        }
    )
    for name, kind, path, card in zip(params.models, params.kinds, job.input.models, job.input.cards, strict=True):
        card = read_json(card)
        columns = [table.names.index(each) for each in card["features"]]
        frame[f"p_{name}"] = models.load(kind).read(path, card["sha256"]).predict(table.x[:, columns], held)
    for name in params.extra:
        frame[name] = table.x[held, table.names.index(name)]
    x = frame[stacking.inputs(meta["models"], meta["extra"])].to_numpy(dtype=float)
    frame["p_stack"] = metas.load(meta["kind"]).predict(meta["coefficients"], x)
    write_table(job.output[0], frame)
    progress.info("%d rows of the hold-out scored", len(frame))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
