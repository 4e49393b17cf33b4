"""Inputs for the tests of what follows the base models: matrices of predictions, and frames as the files have them."""

import numpy as np
import pandas as pd

from scripts.ensemble import scaling
from tests.common import noise

METAS = {
    "logistic": {"C": 1.0},
    "gbm": {"rounds": 50, "learning_rate": 0.05, "num_leaves": 4, "min_data_in_leaf": 200},
    "mlp": {"hidden": [8], "alpha": 0.01, "epochs": 200},
}
BASES = 3
GATES = {
    "min_rows_to_deploy": 3000,
    "min_auc": 0.55,
    "max_auc": 0.75,
    "better_than_noise": 0.001,
    "max_test_gap": 0.05,
    "permutations": 2000,
}


def inputs(n=6000, seed=0, spread=0.1):
    """``(x, y)``: three alike base predictions near 0.5 and an extra with a long tail and NaN, of some use each."""
    rng = np.random.default_rng(seed)
    hint, extra = rng.normal(size=(2, n))
    margins = spread * (hint[:, None] + rng.normal(size=(n, BASES)) * [0.5, 0.6, 1.5])
    y = (rng.random(n) < scaling.sigmoid(0.5 * hint + 0.3 * extra)).astype(np.int8)
    extra = np.exp(extra).astype(np.float32).astype(float)
    extra[rng.random(n) < 0.03] = np.nan
    return np.column_stack([scaling.sigmoid(margins), extra]), y


def oof(n=6000, seed=0, signal=0.1, horizon=5, models=("lgb", "xgb", "cross"), start="2021-01-01"):
    """A frame as oof.parquet: hourly, labels that overlap, alike predictions with memory; ``signal`` 0: worthless."""
    rng = np.random.default_rng(seed)
    state = noise.persistent(rng, n, 0.9)
    y, first, last = noise.overlapping(rng, n, horizon, drift=signal * state)
    hours = pd.date_range(start, periods=n + horizon, freq="h", tz="UTC", unit="us")
    frame = pd.DataFrame({"timestamp": hours[first], "fold": first // 100, "y": y, "t1": hours[last]})
    frame["fold"] = frame["fold"].astype("int32")
    frame["forward_return"] = np.where(y == 1, 0.01, -0.01)
    for number, model in enumerate(models):
        frame[f"p_{model}"] = scaling.sigmoid(0.1 * (state + (0.3 + 0.2 * number) * noise.persistent(rng, n, 0.9)))
    frame["hvol_20"] = np.exp(0.2 * noise.persistent(rng, n, 0.99)).astype(np.float32)
    return frame


def indexes(models=("lgb", "xgb", "cross"), folds=4):
    """The contents of one index file per model."""
    return [
        {
            "model": model,
            "folds": [
                {"fold": k, "early_stopping_auc": 0.6 + 0.01 * k, "window_test_auc": None if k == 0 else 0.5 + 0.01 * k}
                for k in range(folds)
            ],
        }
        for model in models
    ]
