"""Small inputs for the tests of the ensemble stage: rows with a known signal, and the files that jobs read."""

import numpy as np
import pandas as pd

from scripts.common.periods import between, bounds
from scripts.ensemble.rows import Rows

LIGHTGBM = {
    "rounds": 60,
    "patience": 10,
    "learning_rate": 0.1,
    "num_leaves": 15,
    "max_bin": 63,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l1": 0.0,
    "lambda_l2": 0.0,
}
XGBOOST = {
    "rounds": 60,
    "patience": 10,
    "learning_rate": 0.1,
    "max_depth": 4,
    "max_bin": 63,
    "min_child_weight": 20.0,
    "colsample_bytree": 0.8,
    "subsample": 0.8,
    "reg_alpha": 0.0,
    "reg_lambda": 1.0,
}
COLUMNS = ("timestamp", "t1", "y", "forward_return", "x")
SETTINGS = {"lightgbm": LIGHTGBM, "xgboost": XGBOOST}


def awkward_features(n, seed=0):
    """float32 ``[n, 10]`` of the kinds that break conversions: prices, steps, NaN, zeros, tiny and huge values."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 10)).astype(np.float32)
    x[:, 0] = 1e6 + rng.integers(0, 4000, n) / 16  # neighbouring values are neighbouring float32 numbers
    x[:, 1] = np.round(x[:, 1], 1)
    x[rng.random(n) < 0.1, 2] = np.nan
    x[n // 2 :, 3][rng.random(n - n // 2) < 0.2] = np.nan  # NaN only after the first half
    x[rng.random(n) < 0.5, 4] *= np.float32(1e-35)  # LightGBM takes these for zeros
    x[:, 5] = rng.integers(0, 24, n)
    x[rng.random(n) < 0.7, 6] = 0
    x[:, 7] *= np.float32(1e30)
    return x


def rows(n, seed=0, features=10, horizon=5, signal=1.0, start="2021-01-01"):
    """Hourly :class:`Rows` whose first feature tells of the label in part."""
    rng = np.random.default_rng(seed)
    timestamp = pd.date_range(start, periods=n, freq="h", unit="us").to_numpy()
    x = rng.normal(size=(n, features)).astype(np.float32)
    forward_return = 0.01 * (signal * x[:, 0] + rng.normal(size=n) * 2)
    names = [f"f{i}" for i in range(features)]
    t1 = timestamp + np.timedelta64(horizon, "h")
    return Rows(timestamp, t1, (forward_return > 0).astype(np.int8), forward_return, x, names)


def without(table, places):
    """``table`` without some rows."""
    columns = (np.delete(getattr(table, name), places, axis=0) for name in COLUMNS)
    return Rows(*columns, table.names)


def stamps(timestamp):
    """A naive UTC array as the column that files have."""
    return pd.DatetimeIndex(timestamp, tz="UTC")


def write_market(folder, table, sets=("technical",), partition="month"):
    """Write ``table`` as a job's files ``(features, labels)``, by period; later sets have suffixed names."""
    time = stamps(table.timestamp)
    periods = between(time[0], time[-1] + pd.Timedelta("1h"), partition)
    features, labels = [], []
    for name in sets:
        columns = table.names if name == sets[0] else [f"{each}_{name}" for each in table.names]
        frame = pd.DataFrame(table.x, columns=columns)
        frame.insert(0, "timestamp", time)
        features += _write(folder / "features" / name, frame, periods)
    frame = pd.DataFrame(
        {"timestamp": time, "t1": stamps(table.t1), "y": table.y, "forward_return": table.forward_return}
    )
    labels = _write(folder / "labels", frame, periods)
    return features, labels


def _write(folder, frame, periods):
    folder.mkdir(parents=True)
    paths = []
    for period in periods:
        start, end = bounds(period)
        paths.append(str(folder / f"{period}.parquet"))
        frame[(frame["timestamp"] >= start) & (frame["timestamp"] < end)].to_parquet(paths[-1], index=False)
    return paths
