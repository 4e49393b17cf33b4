"""Seven features per symbol that relate it to all symbols of its market.

A symbol's windows are counted in its own bars; the panel's mean return at a stamp is that of the symbols which have
a bar there, equally weighted, the symbol itself included. At a stamp without a bar of its own a symbol's features are
unknown (NaN).
"""

import numpy as np

from scripts.market import windows

SCOPE = "panel"
OF = "peers"
# 73 bars are looked at; the rest is to spare for bars that a symbol misses.
LOOKBACK = 120

NAMES = ("ret_1", "ret_4", "ret_24", "hvol_24", "relative_ret_24", "panel_corr_72", "volume_z_72")


def names():
    """The names of the features of each symbol."""
    return NAMES


def compute(bars):
    """``timestamp`` and ``{symbol}__{name}`` (float32) of ``{symbol: DataFrame of bars}``, on the union of stamps."""
    import pandas as pd

    stamps = np.unique(np.concatenate([_stamps(frame) for frame in bars.values()]))
    places = {symbol: np.searchsorted(stamps, _stamps(frame)) for symbol, frame in bars.items()}
    alone = {symbol: own_features(frame) for symbol, frame in bars.items()}
    mean = {name: _panel_mean(alone, places, name, len(stamps)) for name in ("ret_1", "ret_24")}
    table = {"timestamp": pd.to_datetime(stamps, utc=True).as_unit("us")}
    for symbol, features in alone.items():
        place = places[symbol]
        features["relative_ret_24"] = features["ret_24"] - mean["ret_24"][place]
        features["panel_corr_72"] = windows.correlation(features["ret_1"], mean["ret_1"][place], 72)
        for name in NAMES:
            column = np.full(len(stamps), np.nan, "float32")
            column[place] = features[name]
            table[f"{symbol}__{name}"] = column
    return pd.DataFrame(table)


def own_features(bars):
    """``{name: array}`` of the features that need no other symbol, row by row of the symbol's own bars."""
    close, volume = bars["close"].to_numpy("float64"), bars["volume"].to_numpy("float64")
    returns = {f"ret_{n}": windows.log_return(close, n) for n in (1, 4, 24)}
    log_volume = np.log(np.where(volume > 0, volume, np.nan))
    return returns | {
        "hvol_24": windows.deviation(returns["ret_1"], 24),
        "volume_z_72": windows.z_score(log_volume, 72, least=36),
    }


def _panel_mean(alone, places, name, rows):
    """Mean of a feature over the symbols that have it, at each of ``rows`` stamps; NaN where none has."""
    total, count = np.zeros(rows), np.zeros(rows)
    for symbol, features in alone.items():
        known = ~np.isnan(features[name])
        total[places[symbol][known]] += features[name][known]
        count[places[symbol][known]] += 1
    return windows.ratio(total, count)


def _stamps(frame):
    return frame["timestamp"].dt.tz_localize(None).to_numpy().astype("datetime64[us]")
