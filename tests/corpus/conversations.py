"""Samples for tests, made by hand."""

import numpy as np
import pandas as pd

from scripts.corpus import samples
from scripts.corpus.parts import Part, Rows

CHECKS = {
    "on_violation": "quarantine",
    "min_skeletons": 40,
    "max_skeleton_share": 0.05,
    "max_characters": 8000,
    "max_masked_auc": 0.53,
    "ngram": 13,
    "max_similarity": 0.8,
}
EXIT = {"horizon": 24, "take_profit": 1.0, "stop_loss": 1.0, "volatility_window": 72, "cost": 0.0002}


def meta(key="1", **changes):
    """Metadata with harmless values."""
    values = {"domain": "made", "difficulty": "easy", "template": "t", "entity": "e", "group": "g"}
    own = {name: changes.pop(name) for name in list(changes) if name in (*values, "names", "language", "time", "t1")}
    kind, part = changes.pop("kind", "formulas"), changes.pop("part", "made")
    return samples.meta(part, kind, key, **(values | own)) | changes


def talk(prompt, answer, key="1", **changes):
    """A conversation."""
    return samples.conversation(prompt, answer, meta(key, **changes))


def pair(prompt, chosen, rejected, key="1", **changes):
    """A preference pair."""
    return samples.preference(prompt, chosen, rejected, meta(key, kind=changes.pop("kind", "preferences"), **changes))


def market_part(kind, per_symbol, symbols=("AAA", "BBB"), bars=6000, seed=7, drift=0.0):
    """A part of a market kind on seeded random walks of hourly bars with their technical features."""
    from scripts.market.features import technical

    rows = {}
    for number, symbol in enumerate(symbols):
        rng = np.random.default_rng([seed, number])
        close = 100 * np.exp(np.cumsum(0.004 * rng.standard_normal(bars) + drift))
        opened = np.r_[100, close[:-1]]
        noise = np.exp(0.002 * np.abs(rng.standard_normal((2, bars))))
        frame = pd.DataFrame(
            {
                "timestamp": pd.date_range("2021-01-01", periods=bars, freq="h", tz="UTC").as_unit("us"),
                "open": opened,
                "high": np.maximum(opened, close) * noise[0],
                "low": np.minimum(opened, close) / noise[1],
                "close": close,
                "volume": np.exp(5 + 0.3 * rng.standard_normal(bars)),
            }
        )
        features = technical.compute(frame)
        rows[symbol] = Rows(frame, {name: features[name].to_numpy() for name in features})
    settings = {"kind": kind, "per_symbol": per_symbol, "exit": EXIT}
    return Part(f"made_{kind}", settings, 7, "made", "1h", "month", rows)
