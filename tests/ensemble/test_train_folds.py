import copy
import hashlib

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.common.results import read_json
from scripts.ensemble import folds, models, train_folds
from scripts.ensemble.blocks import train_block
from scripts.ensemble.rows import Rows
from tests.ensemble import builders

PLAN = {
    "train": 800,
    "validation": 150,
    "test": 100,
    "step": 100,
    "window": "rolling",
    "warmup": 0,
    "holdout": 0,
    "horizon": 5,
    "per_job": 5,
    "partition": "month",
    "timeframe": "1h",
    "min_rows_to_stack": 0,
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Jobs keep their state below the working directory."""
    monkeypatch.chdir(tmp_path)


def windows(table, **changed):
    return folds.plan(builders.stamps(table.timestamp), **PLAN | changed)["folds"]


def job_for(folder, table, kind="lightgbm", own=slice(None), **changed):
    features, labels = builders.write_market(folder / "market", table)
    return Job(
        input={"features": features, "labels": labels},
        output={
            "folds": str(folder / "lgb/folds/b000"),
            "index": str(folder / "lgb/folds/b000.index.json"),
            "oof": str(folder / "lgb/oof/b000.parquet"),
        },
        params={
            "kind": kind,
            "settings": builders.SETTINGS[kind],
            "sets": ["technical"],
            "panels": {},
            "windows": windows(table, **changed)[own],
            "seed": 7,
        },
        wildcards={"model": "lgb", "block": "b000"},
    )


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_a_block_leaves_a_model_file_per_fold_and_predictions_of_every_test_row(tmp_path, kind):
    table = builders.rows(1500, signal=1.0)
    job = job_for(tmp_path, table, kind)
    train_folds.main(job)
    index, oof = read_json(job.output["index"]), pd.read_parquet(job.output.oof)

    assert [fold["fold"] for fold in index["folds"]] == list(range(6))
    assert (index["model"], index["kind"], index["features"]) == ("lgb", kind, table.names)
    assert oof.dtypes.astype(str).to_dict() == {"timestamp": "datetime64[us, UTC]", "fold": "int32", "p": "float64"}
    assert list(oof["timestamp"]) == list(builders.stamps(table.timestamp[800:1400]))
    assert oof["fold"].value_counts(sort=False).to_dict() == dict.fromkeys(range(6), 100)
    assert roc_auc_score(table.y[800:1400], oof["p"]) > 0.6

    module = models.load(kind)
    for fold, (_, part) in zip(index["folds"], oof.groupby("fold"), strict=True):
        assert fold["rows"] == {"train": 645, "validation": 145, "test": 100}  # five rows of each are purged
        rows = np.searchsorted(table.timestamp, part["timestamp"].dt.tz_localize(None).to_numpy())
        model = module.read(tmp_path / "lgb/folds/b000" / fold["file"], fold["sha256"])
        assert np.array_equal(model.predict(table.x, rows), part["p"])
        assert fold["rounds"] == model.rounds
        assert 0 < fold["early_stopping_auc"] <= 1
        assert fold["window_test_auc"] == pytest.approx(roc_auc_score(table.y[rows], part["p"]))
        assert len(fold["gain"]) == 10 and np.argmax(fold["gain"]) == 0


def test_two_runs_leave_the_same_bytes(tmp_path):
    table = builders.rows(1200)
    for name in ("one", "two"):
        train_folds.main(job_for(tmp_path / name, table))
    one, two = (
        {
            str(path.relative_to(tmp_path / name)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((tmp_path / name).rglob("*.*"))
        }
        for name in ("one", "two")
    )
    assert one == two and len(one) >= 6


def sums(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.*") if path.is_file()}


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_a_killed_block_goes_on_with_the_fold_at_which_it_was(tmp_path, monkeypatch, kind):
    table = builders.rows(1500)
    whole, killed = (job_for(tmp_path / name, table, kind) for name in ("whole", "killed"))
    train_folds.main(whole)
    trained, keep = [], train_folds.keep

    def dying(state, fold, extension):
        if len(trained) == 3:
            state.checkpoint_folder(fold.number).mkdir()  # half of a fold
            raise KeyboardInterrupt
        keep(state, fold, extension)
        trained.append(fold.number)

    monkeypatch.setattr(train_folds, "keep", dying)
    with pytest.raises(KeyboardInterrupt):
        train_folds.main(killed)
    assert not (tmp_path / "killed/lgb").exists()
    monkeypatch.setattr(
        train_folds, "keep", lambda state, fold, extension: (keep(state, fold, extension), trained.append(fold.number))
    )
    train_folds.main(killed)
    assert trained == list(range(6))
    assert sums(tmp_path / "killed/lgb") == sums(tmp_path / "whole/lgb")
    assert not [path for path in (tmp_path / ".work").rglob("*") if path.is_file()]


def test_a_fold_does_not_depend_on_what_lies_after_it(tmp_path):
    table = builders.rows(1500)
    changed = copy.deepcopy(table)
    changed.y[1100:] = 1 - changed.y[1100:]
    changed.x[1100:] = 5
    frames = []
    for name, each in (("one", table), ("two", changed)):
        job = job_for(tmp_path / name, each, own=slice(0, 3))  # tests rows 800 to 1100
        train_folds.main(job)
        frames.append(pd.read_parquet(job.output.oof))
    pd.testing.assert_frame_equal(*frames)


def test_missing_bars_shift_no_window(tmp_path):
    table = builders.rows(1500)
    job = job_for(tmp_path, builders.without(table, np.arange(850, 870)))
    job.params["windows"][:] = windows(table)
    train_folds.main(job)
    index = read_json(job.output["index"])
    assert [fold["rows"]["test"] for fold in index["folds"]] == [80, 100, 100, 100, 100, 100]


def test_no_validation_window_means_fixed_rounds_and_no_score(tmp_path):
    job = job_for(tmp_path, builders.rows(1200), validation=0)
    train_folds.main(job)
    index = read_json(job.output["index"])
    assert {(fold["rounds"], fold["early_stopping_auc"]) for fold in index["folds"]} == {(60, None)}
    assert index["folds"][0]["rows"] == {"train": 795, "validation": 0, "test": 100}


def test_a_window_of_one_class_stops_with_its_name_and_leaves_nothing(tmp_path):
    table = builders.rows(1200)
    table.y[740:900] = 1
    job = job_for(tmp_path, table)
    with pytest.raises(StudyError, match="the validation window of fold 1 has 145 rows"):
        train_folds.main(job)
    assert not (tmp_path / "lgb").exists() or not list((tmp_path / "lgb").rglob("*.*"))


def test_a_test_window_of_one_class_has_no_auc(tmp_path):
    table = builders.rows(1000, signal=0)
    table.y[800:900] = 0
    job = job_for(tmp_path, table, own=slice(0, 1))
    train_folds.main(job)
    assert read_json(job.output["index"])["folds"][0]["window_test_auc"] is None


def noise(n, seed, features=12, horizon=24):
    """Labels from sums of white noise, and persistent features that have nothing to do with them."""
    rng = np.random.default_rng(seed)
    returns = rng.normal(size=n + horizon + 1)
    level = np.append(0, np.cumsum(returns))
    forward_return = level[np.arange(n) + 1 + horizon] - level[np.arange(n) + 1]
    x, shocks = np.empty((n, features)), rng.normal(size=(n, features))
    x[0] = shocks[0] / np.sqrt(1 - 0.995**2)
    for i in range(1, n):
        x[i] = 0.995 * x[i - 1] + shocks[i]
    timestamp = pd.date_range("2021-01-01", periods=n, freq="h", unit="us").to_numpy()
    y = (forward_return > 0).astype(np.int8)
    t1 = timestamp + np.timedelta64(horizon, "h")
    return Rows(timestamp, t1, y, forward_return, x.astype(np.float32), [f"noise_{i}" for i in range(features)])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_without_the_purge_noise_looks_predictable_and_with_it_does_not(seed):
    table = noise(8000, seed)
    plan = windows(table, train=800, validation=0, test=24, step=24, horizon=24)
    settings = builders.LIGHTGBM | {"rounds": 30, "min_data_in_leaf": 5}
    pooled = {}
    for purge in (True, False):
        block = list(train_block(models.load("lightgbm"), table, plan, settings, threads=1, seed=7, purge=purge))
        rows, p = (np.concatenate([getattr(fold, name) for fold in block]) for name in ("test_rows", "p"))
        pooled[purge] = roc_auc_score(table.y[rows], p)
    # 95 % band of the AUC of noise (Mann-Whitney); labels overlap 24-fold, so that many rows count as one
    independent = len(rows) / 24
    band = 1.96 * np.sqrt((independent + 1) / (12 * (independent / 2) ** 2))
    assert band < 0.07
    assert abs(pooled[True] - 0.5) < band
    assert pooled[False] > 0.56
    assert pooled[False] > pooled[True] + 0.05
