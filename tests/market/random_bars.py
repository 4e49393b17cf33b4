"""Random bars for tests: a walk with bursts of volatility, volume that follows it, and gaps where asked."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


def random_bars(rows, seed=0, start="2021-01-01", step="1h", missing=()):
    """A DataFrame of ``rows`` bars less those at the positions ``missing``."""
    rng = np.random.default_rng(seed)
    sigma = 0.01 * np.exp(0.5 * np.sin(np.arange(rows) / 50) + 0.2 * rng.standard_normal(rows))
    close = 100 * np.exp(np.cumsum(sigma * rng.standard_t(4, rows)))
    open_ = np.r_[100.0, close[:-1]] * np.exp(0.0005 * rng.standard_normal(rows))
    high = np.maximum(open_, close) * np.exp(sigma * rng.random(rows))
    low = np.minimum(open_, close) * np.exp(-sigma * rng.random(rows))
    stamps = pd.date_range(start, periods=rows, freq=step, tz="UTC").as_unit("us")
    volume = 1e4 * sigma * np.exp(rng.standard_normal(rows))
    frame = pd.DataFrame(
        {"timestamp": stamps, "open": open_, "high": high, "low": low, "close": close, "volume": volume}
    )
    return frame.drop(index=list(missing)).reset_index(drop=True)


def flat_bars(rows, **columns):
    """Bars whose price never moves and which nobody trades, but for the columns given."""
    frame = random_bars(rows).assign(open=7.0, high=7.0, low=7.0, close=7.0, volume=0.0)
    return frame.assign(**columns)


def real_bars(name):
    """Real bars of the folder in QUANTMAKE_REAL_DATA, such as ``crypto_1h/ETHUSDT``; skips where it is not set."""
    folder = os.environ.get("QUANTMAKE_REAL_DATA")
    if not folder:
        pytest.skip("QUANTMAKE_REAL_DATA, the folder of real bars, is not set")
    return pd.read_parquet(Path(folder) / f"{name}.parquet")


def assert_same(left, right):
    """Two frames are the same: columns, types and every value to the last bit; unknown equals unknown."""
    pd.testing.assert_frame_equal(left.reset_index(drop=True), right.reset_index(drop=True), check_exact=True)
