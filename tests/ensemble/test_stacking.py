"""The walk-forward stack: which rows it learns from, and that overfitted base models cannot fool it."""

from types import SimpleNamespace

import numpy as np
import pytest

from scripts.common.atomic import write_json, write_table
from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.common.results import read_json
from scripts.common.statistics.auc import auc, interval
from scripts.common.statistics.uniqueness import effective_rows
from scripts.ensemble import metas, models, stacking, train_meta
from scripts.ensemble.blocks import train_block
from tests.ensemble import builders, stacks

LOGISTIC = metas.load("logistic")


def walk(x, y, timestamp, t1, kind=LOGISTIC, probabilities=1, first=1000, step=500):
    given = {"probabilities": probabilities, "settings": {"C": 1.0}, "seed": 7, "first": first, "step": step}
    return stacking.walk_forward(kind, x, y, timestamp, t1, **given)


def test_each_window_learns_from_all_rows_whose_labels_had_ended_and_from_no_other():
    rng = np.random.default_rng(0)
    timestamp = np.sort(rng.choice(5000, 2300, replace=False))
    t1 = timestamp + rng.integers(1, 60, len(timestamp))
    seen = []

    def fit(x, y, probabilities, settings, seed):
        seen.append(x[:, 0].astype(int))
        return len(seen)

    recorder = SimpleNamespace(fit=fit, predict=lambda number, x: np.full(len(x), number / 10))
    p = walk(np.arange(2300.0)[:, None], rng.integers(0, 2, 2300), timestamp, t1, kind=recorder)
    assert np.isnan(p[:1000]).all() and np.array_equal(p[1000:], np.repeat([0.1, 0.2, 0.3], [500, 500, 300]))
    for begin, rows in zip([1000, 1500, 2000], seen, strict=True):
        assert rows.tolist() == [row for row in range(2300) if t1[row] < timestamp[begin]]
        assert len(rows) < begin  # some labels were open


def test_labels_that_were_open_when_a_window_began_change_nothing_in_it():
    oof = stacks.oof(2000, horizon=24)
    x, y, timestamp, t1 = columns(oof)
    poisoned = y.copy()
    poisoned[1500 - 24 : 1500] = 1
    one, two = (walk(x, each, timestamp, t1, probabilities=3) for each in (y, poisoned))
    assert np.array_equal(one[1000:], two[1000:])
    poisoned[1500 - 25] = 1 - y[1500 - 25]
    assert not np.array_equal(walk(x, poisoned, timestamp, t1, probabilities=3)[1500:], one[1500:])


def columns(oof, models=("lgb", "xgb", "cross")):
    x = oof[stacking.inputs(models, ["hvol_20"])].to_numpy(dtype=float)
    return x, oof["y"].to_numpy(), *(oof[name].dt.tz_localize(None).to_numpy() for name in ("timestamp", "t1"))


def test_base_models_that_know_their_own_rows_by_heart_fool_a_naive_stack_only():
    """On noise: fitted and scored on in-sample predictions the stack looks superb; the walk-forward one does not."""
    table = builders.rows(3000, signal=0.0)
    kind, settings = models.load("lightgbm"), builders.LIGHTGBM | {"rounds": 100}
    everything = np.arange(2500)
    data = kind.prepare(table.x, table.y, table.names, everything, settings, 1, 7)
    overfitted = kind.fit(data, everything, everything[:0], settings).predict(table.x)
    coefficients = LOGISTIC.fit(overfitted[:2500, None], table.y[:2500], 1, {"C": 1.0}, 7)
    p = LOGISTIC.predict(coefficients, overfitted[:, None])
    assert auc(table.y[:2500], p[:2500]) > 0.9 and auc(table.y[2500:], p[2500:]) < 0.56

    windows = [window(start) for start in range(500, 3000, 100)]
    out_of_fold = np.full(3000, np.nan)
    for fold in train_block(kind, table, windows, settings, threads=1, seed=7):
        out_of_fold[fold.test_rows] = fold.p
    rows = slice(500, 3000)
    x, y, timestamp, t1 = out_of_fold[rows, None], table.y[rows], table.timestamp[rows], table.t1[rows]
    p = walk(x, y, timestamp, t1, first=500, step=500)
    scored = ~np.isnan(p)
    assert scored.sum() == 2000
    effective = effective_rows(timestamp[scored], t1[scored])
    assert interval(y[scored], p[scored], effective).low < 0.5 < 0.56 < auc(table.y[:2500], overfitted[:2500])
    assert auc(y[scored], p[scored]) < 0.55


def window(start):
    moments = builders.stamps(builders.rows(3001).timestamp)
    iso = [moments[place].strftime("%Y-%m-%dT%H:%M:%SZ") for place in (start - 500, start, start + 100)]
    return {"fold": start // 100, "train": iso[:2], "validation": None, "test": iso[1:]}


def test_a_window_without_both_classes_before_it_is_explained():
    x, _, timestamp, t1 = columns(stacks.oof(2000))
    with pytest.raises(StudyError, match="meta-model's training window before 2021-02-11.* all have y = 0"):
        walk(x, np.zeros(2000, dtype=np.int8), timestamp, t1, probabilities=3)


@pytest.mark.parametrize("rows, first", [(24492, 1000), (600, 300)])
def test_short_matrices_are_stacked_too(rows, first):
    assert stacking.schedule(rows) == (first, 1000)


def job_for(folder, oof, kind="logistic", kept=("lgb", "cross"), extra=("hvol_20",)):
    write_table(folder / "oof.parquet", oof)
    write_json(folder / "diversity.json", {"kept": list(kept)})
    return Job(
        input={"oof": str(folder / "oof.parquet"), "diversity": str(folder / "diversity.json")},
        output={"meta": str(folder / "stacking_meta.json"), "stacked": str(folder / "stacked.parquet")},
        params={"kind": kind, "settings": stacks.METAS[kind], "extra": list(extra), "seed": 7},
    )


@pytest.mark.parametrize("kind", list(stacks.METAS))
def test_the_job_stacks_the_models_that_stay_and_records_how(tmp_path, kind):
    import pandas as pd

    oof = stacks.oof(4000)
    job = job_for(tmp_path, oof, kind)
    train_meta.main(job)
    meta, stacked = read_json(job.output.meta), pd.read_parquet(job.output.stacked)
    assert meta["inputs"] == ["p_lgb", "p_cross", "hvol_20"] and meta["models"] == ["lgb", "cross"]
    assert (meta["kind"], meta["rows"], meta["extra"]) == (kind, 4000, ["hvol_20"])
    assert meta["window"] == {"start": "2021-01-01T00:00:00Z", "end": "2021-06-16T20:00:00Z"}
    assert meta["walk_forward"] == {"first": 1000, "step": 1000, "rows": 3000}

    assert list(stacked.columns) == ["timestamp", "fold", "y", "t1", "p_stack"]
    assert stacked[["timestamp", "fold", "y", "t1"]].equals(
        oof[["timestamp", "fold", "y", "t1"]][1000:].reset_index(drop=True)
    )
    assert auc(stacked["y"], stacked["p_stack"]) > 0.58
    # the recorded coefficients are those of all rows: they are not what predicted the stacked ones
    all_rows = metas.load(kind).predict(meta["coefficients"], oof[meta["inputs"]].to_numpy(dtype=float))
    assert not np.allclose(all_rows[1000:2000], stacked["p_stack"][:1000], atol=1e-4)

    again = tmp_path / "again"
    again.mkdir()
    train_meta.main(job_for(again, oof, kind))
    for name in ("stacking_meta.json", "stacked.parquet"):
        assert (again / name).read_bytes() == (tmp_path / name).read_bytes()


def test_appended_rows_change_no_earlier_prediction(tmp_path):
    import pandas as pd

    oof, found = stacks.oof(4000), []
    for rows in (3000, 4000):
        job = job_for(tmp_path / str(rows), oof[:rows])
        train_meta.main(job)
        found.append(pd.read_parquet(job.output.stacked))
    assert found[1][:2000].equals(found[0])
