"""Values of Alpha158 and Alpha360 from qlib's own engine, frozen in qlib_values.parquet.

Run it in an environment of its own, since qlib pins other packages than this project:

    python3.11 -m venv /tmp/qlib && /tmp/qlib/bin/pip install pyqlib==0.9.7 "numpy<2" "pandas<2.3"
    /tmp/qlib/bin/python tests/market/freeze_qlib.py

The bars are made up (seeded) and frozen with the values, so that no test depends on a random generator. They are
multiples of 1/64, which a float32 holds exactly. ``AAA`` and ``BBB`` have a vwap, as bars with an amount do;
``CCC`` has none, and the typical price stands in for it. qlib gets them as float64, not from its float32 files, and
returns float32. Prices are coarse: bars have equal highs and equal closes.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

ROWS, FROZEN = 100, 40
SYMBOLS = ("AAA", "BBB", "CCC")
FIELDS = ("open", "high", "low", "close", "volume", "vwap")
OUTPUT = Path(__file__).with_name("qlib_values.parquet")


def main():
    """Make the bars, ask qlib, write one long table: kind, symbol, row, name, value."""
    bars = {symbol: made_bars(seed) for seed, symbol in enumerate(SYMBOLS)}
    bars["CCC"]["vwap"] = np.nan
    parts = [long(bars[symbol][list(FIELDS)].assign(row=range(ROWS)), "bars", symbol) for symbol in SYMBOLS]
    for kind, (expressions, names) in definitions().items():
        values = ask_qlib(bars, expressions, names)
        for symbol in SYMBOLS:
            own = values.loc[symbol].assign(row=range(ROWS))[ROWS - FROZEN :]
            parts.append(long(own, kind, symbol))
    table = pd.concat(parts, ignore_index=True).sort_values(["kind", "name", "symbol", "row"], ignore_index=True)
    for key in ("kind", "symbol", "name"):
        table[key] = table[key].astype("category")
    table.to_parquet(OUTPUT, index=False, compression="zstd", compression_level=19)
    print(f"{len(table)} values, {OUTPUT.stat().st_size / 1e3:.0f} kB")


def made_bars(seed):
    """``ROWS`` bars, a random walk in multiples of a quarter; volume in whole units, vwap between low and high."""
    rng = np.random.default_rng([2009, seed])
    close = np.round(4 * 90 * np.exp(np.cumsum(0.012 * rng.standard_normal(ROWS)))) / 4
    opened = np.r_[90, close[:-1]] + rng.integers(-2, 3, ROWS) / 4
    high = np.maximum(opened, close) + rng.integers(0, 5, ROWS) / 4
    low = np.minimum(opened, close) - rng.integers(0, 5, ROWS) / 4
    volume = np.round(2000 * np.exp(0.5 * rng.standard_normal(ROWS)))
    vwap = low + np.round(64 * (high - low) * rng.random(ROWS)) / 64
    return pd.DataFrame(
        {"open": opened, "high": high, "low": low, "close": close, "volume": volume, "vwap": vwap}, dtype="float64"
    )


def definitions():
    """``{kind: (expressions, names)}`` as qlib's handlers have them."""
    from qlib.contrib.data.loader import Alpha158DL, Alpha360DL

    chosen = {"kbar": {}, "price": {"windows": [0], "feature": ["OPEN", "HIGH", "LOW", "VWAP"]}, "rolling": {}}
    return {"alpha158": Alpha158DL.get_feature_config(chosen), "alpha360": Alpha360DL.get_feature_config()}


def ask_qlib(bars, expressions, names):
    """The features of all bars, a DataFrame by (symbol, day), as qlib computes them."""
    import qlib
    from qlib.data import D
    from qlib.data.data import FeatureProvider

    days = pd.bdate_range("2020-01-01", periods=ROWS)
    fields = {
        symbol: frame.assign(vwap=frame["vwap"].fillna((frame["high"] + frame["low"] + frame["close"]) / 3))
        for symbol, frame in bars.items()
    }

    class Made(FeatureProvider):
        """Serves the bars as float64."""

        def feature(self, instrument, field, start_index, end_index, freq):
            return fields[instrument.upper()][field.removeprefix("$")][start_index : end_index + 1]

    with tempfile.TemporaryDirectory() as folder:
        for name, lines in {
            "calendars/day.txt": [f"{day:%Y-%m-%d}" for day in days],
            "instruments/all.txt": [f"{symbol}\t{days[0]:%Y-%m-%d}\t{days[-1]:%Y-%m-%d}" for symbol in bars],
        }.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_text("\n".join(lines) + "\n")
        qlib.init(provider_uri=folder, region="us", kernels=1, expression_cache=None, dataset_cache=None)
        from qlib.data.data import FeatureD

        FeatureD.register(Made())
        frame = D.features(list(bars), expressions, start_time=days[0], end_time=days[-1])
    frame.columns = names
    return frame


def long(frame, kind, symbol):
    """A wide table with a column ``row`` as a long one."""
    table = frame.melt("row", var_name="name", value_name="value").assign(kind=kind, symbol=symbol)
    return table.astype({"row": "int16", "value": "float32"})


if __name__ == "__main__":
    main()
