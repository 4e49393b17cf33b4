"""What the pipeline says of markets whose truth is known: nothing where there is nothing, most of what there is, and
no to what is too good. From simulated bars to the gate, as the rules do it."""

import numpy as np
import pandas as pd
import pytest

from scripts.common.statistics.auc import auc
from scripts.ensemble import folds, gates, metas, metrics, models, stacking
from scripts.ensemble.blocks import train_block
from scripts.ensemble.rows import Rows
from scripts.ensemble.settings import Gates, LightGBM, Logistic
from scripts.market import labels
from scripts.market.features import technical
from scripts.market.sources import simulate

WINDOWS = {
    "train": 6000,
    "validation": 1000,
    "test": 1000,
    "step": 1000,
    "window": "rolling",
    "warmup": 0,
    "holdout": 0,
}
LONG = WINDOWS | {"train": 8000, "validation": 1500, "window": "expanding"}
NOISE_ONLY = Gates(min_rows_to_deploy=0, min_auc=0, max_auc=0).model_dump()


def market(seed, signal, horizon, bars=14_000):
    """Labelled rows of a simulated symbol, and the oracle's AUC."""
    end = (pd.Timestamp("2021-01-01") + pd.Timedelta(hours=bars)).date().isoformat()
    source = {"start": "2021-01-01", "end": end, "signal": signal, "signal_horizon": horizon}
    source |= {"correlation": 0.6, "annual_volatility": 0.6}
    span = {"start": None, "end": None}
    frame, notes = simulate.read("ALPHA", source, files=[], timeframe="1h", calendar="always", span=span, seed=seed)
    known = labels.label(frame, {"kind": "direction", "horizon": horizon})
    x = technical.compute(frame).to_numpy()[frame["timestamp"].isin(known["timestamp"]).to_numpy()]
    times = (known[name].dt.tz_localize(None).to_numpy() for name in ("timestamp", "t1"))
    oracle = notes["oracle_auc"] and notes["oracle_auc"]["auc"]
    return Rows(*times, known["y"].to_numpy(), known["forward_return"].to_numpy(), x, list(technical.names())), oracle


def gated(rows, horizon, limits, windows=WINDOWS):
    """Walk forward, stack, and judge: (metrics, gate)."""
    grid = pd.DatetimeIndex(rows.timestamp, tz="UTC")
    plan = folds.plan(
        grid, **windows, horizon=horizon, per_job=99, partition="quarter", timeframe="1h", min_rows_to_stack=0
    )
    settings = LightGBM(kind="lightgbm").model_dump(exclude={"kind", "features"})
    trained = list(train_block(models.load("lightgbm"), rows, plan["folds"], settings, threads=1, seed=7))
    places = np.concatenate([fold.test_rows for fold in trained])
    p = np.concatenate([fold.p for fold in trained])
    y, timestamp, t1 = rows.y[places], rows.timestamp[places], rows.t1[places]
    meta = metas.load("logistic")
    first, step = stacking.schedule(len(y))
    stacked = stacking.walk_forward(
        meta,
        p[:, None],
        y,
        timestamp,
        t1,
        probabilities=1,
        settings=Logistic().model_dump(),
        seed=7,
        first=first,
        step=step,
    )
    oof = pd.DataFrame(
        {
            "timestamp": pd.DatetimeIndex(timestamp, tz="UTC"),
            "fold": np.repeat([fold.number for fold in trained], [len(fold.p) for fold in trained]),
            "y": y,
            "t1": pd.DatetimeIndex(t1, tz="UTC"),
            "p_lgb": p,
        }
    )
    stack = oof[["timestamp", "fold", "y", "t1"]].assign(p_stack=stacked).dropna()
    found = metrics.collect(["lgb"], oof, stack, None, [], horizon=horizon, permutations=2000)
    return found, gates.judge(found, limits, len(oof))


def rule(gate, name):
    return next(each for each in gate["rules"] if each["name"] == name)


@pytest.mark.parametrize("seed", range(20))
def test_without_a_signal_the_shift_test_alone_refuses(seed):
    rows, oracle = market(seed, signal=0.0, horizon=5)
    _, gate = gated(rows, 5, NOISE_ONLY)
    assert oracle is None
    assert gate["verdict"] == "refused"
    assert [each["name"] for each in gate["rules"] if each["passed"] is False] == ["better_than_noise"]


@pytest.mark.parametrize("seed", range(10))
def test_a_planted_signal_is_found(seed):
    rows, oracle = market(seed, signal=0.2, horizon=1, bars=24_000)
    found, gate = gated(rows, 1, NOISE_ONLY, LONG)
    assert oracle == pytest.approx(0.60, abs=0.01)
    assert found["oof_all_rows"]["scores"]["lgb"]["auc"] >= 0.57
    assert found["oof"]["scores"]["stack"]["auc"] <= oracle + 0.02
    assert gate["verdict"] == "accepted"


def test_a_planted_future_label_is_stopped_by_the_upper_bound():
    rows, _ = market(1, signal=0.0, horizon=5)
    leak = rows.y + np.random.default_rng(1).normal(0, 0.7, len(rows.y))
    leaking = Rows(
        rows.timestamp,
        rows.t1,
        rows.y,
        rows.forward_return,
        np.c_[rows.x, leak].astype("float32"),
        [*rows.names, "leak"],
    )
    found, gate = gated(leaking, 5, Gates(min_rows_to_deploy=0).model_dump())
    assert found["oof"]["scores"]["stack"]["auc"] > 0.75
    assert gate["verdict"] == "refused"
    assert rule(gate, "max_auc")["passed"] is False and rule(gate, "better_than_noise")["passed"] is True
    assert "leak" in gate["reason"]


def test_the_score_that_chose_the_rounds_flatters():
    """On pure noise the early-stopping AUC lies above one half on average; the pooled test AUC does not."""
    rows, _ = market(3, signal=0.0, horizon=5)
    grid = pd.DatetimeIndex(rows.timestamp, tz="UTC")
    windows = WINDOWS | {"train": 2000, "validation": 100, "test": 200, "step": 200}
    plan = folds.plan(grid, **windows, horizon=5, per_job=99, partition="quarter", timeframe="1h", min_rows_to_stack=0)
    settings = LightGBM(kind="lightgbm").model_dump(exclude={"kind", "features"})
    trained = list(train_block(models.load("lightgbm"), rows, plan["folds"], settings, threads=1, seed=7))
    chosen = np.mean([fold.model.early_stopping_auc for fold in trained])
    pooled = auc(
        np.concatenate([rows.y[fold.test_rows] for fold in trained]), np.concatenate([fold.p for fold in trained])
    )
    assert chosen > 0.57 > 0.54 > pooled
