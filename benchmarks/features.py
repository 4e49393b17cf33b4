"""Alpha158 and Alpha101 of many symbols: the formula engine beside plain pandas.

    python benchmarks/features.py [--symbols 130] [--rows 4800] [--formulas 101]

Alpha158: pandas as people write it, symbol by symbol: `rolling` and its built-in statistics, straight lines from
rolling covariances, `apply(numpy.argmax, raw=True)` where pandas has nothing of its own. Ours: the feature set as a
job computes it, symbol by symbol. Alpha101: the style of the ports, a function of wide frames (time by symbol) per
operator, formula by formula; ours: all formulas over one panel, each shared part once. Both sides run in one process
on one thread, see the same made-up hourly bars, and know a window when three quarters of its rows are known. Formulas
that need industries are left out on both sides.

Prints a JSON line per measurement (wall and CPU seconds), then the ratios, and how far the values are apart: the
number of features that agree within 1e-6 relative (1e-9 absolute) on every value that both know after the longest
lookback, and those that differ most often. Where Alpha101 differs, pandas' running sums are the reason: a correlation
of a window that does not move comes out as a tiny number, not as unknown, and values that tie (covariances of ranks,
correlations of two rows, which are 1 or -1) differ in the last bit; ranks and positions built on them jump.
"""

import argparse
import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):
    os.environ[f"{library}_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.market import expressions, formula_sets  # noqa: E402
from tests.market.random_bars import random_bars  # noqa: E402

WINDOWS = (5, 10, 20, 30, 60)


def main():
    """Measure both sets on both sides, and compare their values."""
    options = arguments()
    bars = {f"S{number:03d}": random_bars(options.rows, seed=number) for number in range(options.symbols)}
    print_line(machine=os.cpu_count(), symbols=options.symbols, rows=options.rows, pandas=pd.__version__)
    if "alpha158" in options.sets:
        ours = measure(lambda: {symbol: formula_sets.compute("alpha158", own) for symbol, own in bars.items()})
        peer = measure(lambda: {symbol: alpha158(own) for symbol, own in bars.items()})
        report("alpha158", ours, peer, by_feature)
    if "alpha101" in options.sets:
        chosen = available("alpha101", bars, options.formulas)
        ours = measure(lambda: panel_engine(chosen, bars))
        peer = measure(lambda: panel_pandas(chosen, bars))
        report("alpha101", ours, peer, lambda frames: {name: each.to_numpy() for name, each in frames.items()})


def report(name, ours, peer, arrays):
    """Print both measurements, their ratios and how the values compare."""
    values = arrays(ours[1])
    for variant, (figures, _) in (("engine", ours), ("pandas", peer)):
        print_line(set=name, variant=variant, features=len(values), **figures)
    print_line(
        set=name,
        comparison="pandas / engine",
        wall_ratio=round(peer[0]["wall_s"] / ours[0]["wall_s"], 2),
        cpu_ratio=round(peer[0]["cpu_s"] / ours[0]["cpu_s"], 2),
        **compare(values, arrays(peer[1]), formula_sets.lookback(name)),
    )


def compare(ours, peer, rows):
    """How many features agree on every value that both sides know, and the worst of the others.

    ``ours``, ``peer``: ``{feature: array [rows, symbols]}``; the first rows, in which windows fill, are left out.
    """
    apart, alone, values = {}, 0, 0
    for name, own in ours.items():
        a, b = own[rows:], peer[name][rows:]
        known = np.isfinite(a) & np.isfinite(b)
        beyond = np.abs(a - b)[known] - 1e-9 > 1e-6 * np.abs(b[known])
        values, alone = values + known.sum(), alone + (np.isfinite(a) != np.isfinite(b)).sum()
        if beyond.any():
            apart[name] = int(beyond.sum())
    return {
        "rows_compared": len(a),
        "agree": len(ours) - len(apart),
        "values_compared": int(values),
        "values_apart": sum(apart.values()),
        "known_to_one_side_only": int(alone),
        "most_apart": dict(sorted(apart.items(), key=lambda each: -each[1])[:8]),
    }


def by_feature(tables):
    """``{feature: array [rows, symbols]}`` of ``{symbol: DataFrame of features}``."""
    return {name: np.column_stack([each[name] for each in tables.values()]) for name in next(iter(tables.values()))}


# --- Alpha158 in pandas


def alpha158(bars):
    """The 158 features of one symbol's bars, a DataFrame."""
    o, h, lo, c, v = (bars[name] for name in ("open", "high", "low", "close", "volume"))
    vwap = (h + lo + c) / 3
    spread = h - lo + 1e-12
    columns = {
        "KMID": (c - o) / o,
        "KLEN": (h - lo) / o,
        "KMID2": (c - o) / spread,
        "KUP": (h - np.maximum(o, c)) / o,
        "KUP2": (h - np.maximum(o, c)) / spread,
        "KLOW": (np.minimum(o, c) - lo) / o,
        "KLOW2": (np.minimum(o, c) - lo) / spread,
        "KSFT": (2 * c - h - lo) / o,
        "KSFT2": (2 * c - h - lo) / spread,
        "OPEN0": o / c,
        "HIGH0": h / c,
        "LOW0": lo / c,
        "VWAP0": vwap / c,
    }
    for n in WINDOWS:
        columns |= windowed(o, h, lo, c, v, n)
    names = formula_sets.names("alpha158")
    return pd.DataFrame(columns)[list(names)].replace([np.inf, -np.inf], np.nan).astype("float32")


def windowed(o, h, lo, c, v, n):
    """The 29 statistics of one window."""

    def roll(series):
        return series.rolling(n, min_periods=least(n))

    row = pd.Series(np.arange(len(c), dtype="float64"), index=c.index)
    before, change, traded = c.shift(1), c.diff(), v.diff()
    slope = roll(c).cov(row) / roll(row).var()
    moved, weighted = np.log(v + 1), (c / before - 1).abs() * v
    ups, downs = (c > before).where(before.notna()), (c < before).where(before.notna())
    low, high = roll(lo).min(), roll(h).max()
    gains, path = roll(change.clip(lower=0)).sum(), roll(change.abs()).sum() + 1e-12
    losses = roll((-change).clip(lower=0)).sum()
    more, steps = roll(traded.clip(lower=0)).sum(), roll(traded.abs()).sum() + 1e-12
    less = roll((-traded).clip(lower=0)).sum()
    top = roll(h).apply(np.argmax, raw=True) + 1
    bottom = roll(lo).apply(np.argmin, raw=True) + 1
    rises, falls = roll(ups.astype("float64")).mean(), roll(downs.astype("float64")).mean()
    columns = {
        "ROC": c.shift(n) / c,
        "MA": roll(c).mean() / c,
        "STD": roll(c).std() / c,
        "BETA": slope / c,
        "RSQR": roll(c).corr(row) ** 2,
        "RESI": (c - roll(c).mean() - slope * (row - roll(row).mean())) / c,
        "MAX": high / c,
        "MIN": low / c,
        "QTLU": roll(c).quantile(0.8) / c,
        "QTLD": roll(c).quantile(0.2) / c,
        "RANK": roll(c).rank(pct=True),
        "RSV": (c - low) / (high - low + 1e-12),
        "IMAX": top / n,
        "IMIN": bottom / n,
        "IMXD": (top - bottom) / n,
        "CORR": roll(c).corr(moved),
        "CORD": roll(c / before).corr(np.log(v / v.shift(1) + 1)),
        "CNTP": rises,
        "CNTN": falls,
        "CNTD": rises - falls,
        "SUMP": gains / path,
        "SUMN": losses / path,
        "SUMD": (gains - losses) / path,
        "VMA": roll(v).mean() / (v + 1e-12),
        "VSTD": roll(v).std() / (v + 1e-12),
        "WVMA": roll(weighted).std() / (roll(weighted).mean() + 1e-12),
        "VSUMP": more / steps,
        "VSUMN": less / steps,
        "VSUMD": (more - less) / steps,
    }
    return {f"{name}{n}": values for name, values in columns.items()}


def least(n):
    """How many rows of a window have to be known: three quarters."""
    return -(-3 * n // 4)


# --- Alpha101 in pandas


def available(family, bars, count):
    """``{name: tree}`` of the formulas that bars alone can compute, the first ``count`` of the family."""
    known = expressions.Panel.of(bars).available
    trees = list(formula_sets.trees(family).items())[:count]
    return {name: tree for name, tree in trees if not expressions.needs(tree) - known}


def panel_engine(trees, bars):
    """All formulas by the engine: ``{name: DataFrame}``, time by symbol."""
    panel = expressions.Panel.of(bars)
    values = expressions.evaluate(trees, panel)
    return {name: pd.DataFrame(each, panel.timestamp, panel.symbols) for name, each in values.items()}


def panel_pandas(trees, bars):
    """All formulas by pandas, each by itself: ``{name: DataFrame}``, time by symbol."""
    long = pd.concat(bars, names=["symbol"]).set_index("timestamp", append=True).droplevel(1)
    fields = {name: long[name].unstack("symbol") for name in ("open", "high", "low", "close", "volume")}
    fields["vwap"] = (fields["high"] + fields["low"] + fields["close"]) / 3
    fields["returns"] = fields["close"].pct_change(fill_method=None)
    return {name: port(tree, fields, {}).replace([np.inf, -np.inf], np.nan) for name, tree in trees.items()}


def port(node, fields, memo):
    """The value of a tree: a frame time by symbol, or a number."""
    if node.is_number:
        return node.value
    if node.operator == "variable":
        if node.value.startswith("adv"):
            return rolling(fields["volume"], int(node.value[3:])).mean()
        return fields[node.value]
    if node not in memo:
        values = [port(each, fields, memo) for each in node.arguments]
        memo[node] = PORT[node.operator](*values)
    return memo[node]


def rolling(frame, n):
    """The rolling window of the last n rows."""
    return frame.rolling(int(n), min_periods=least(int(n)))


def relation(compare):
    """A comparison: 1, 0, or NaN where a side is unknown."""

    def compared(a, b):
        known = (a == a) & (b == b)  # noqa: PLR0124
        return compare(a, b).astype("float64").where(known)

    return compared


def choose(condition, a, b):
    """``a`` where the condition holds, else ``b``."""
    chosen = pd.DataFrame(np.where(condition == 1, a, b), condition.index, condition.columns)
    return chosen.where(condition.notna())


def decay_linear(frame, n):
    """Mean with weights 1 to n, the newest the heaviest."""
    weights = np.arange(1, int(n) + 1) / (n * (n + 1) / 2)
    return frame.rolling(int(n)).apply(lambda rows: np.dot(rows, weights), raw=True)


def divide(a, b):
    """A quotient, unknown where it is infinite."""
    return (a / b).replace([np.inf, -np.inf], np.nan)


PORT = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": divide,
    "^": lambda a, b: a**b,
    "neg": lambda a: -a,
    "<": relation(lambda a, b: a < b),
    "<=": relation(lambda a, b: a <= b),
    ">": relation(lambda a, b: a > b),
    ">=": relation(lambda a, b: a >= b),
    "==": relation(lambda a, b: a == b),
    "!=": relation(lambda a, b: a != b),
    "&&": lambda a, b: (a * b).where(~((a == 0) | (b == 0)), 0.0),
    "||": lambda a, b: (a + b).clip(upper=1).where(~((a == 1) | (b == 1)), 1.0),
    "?": choose,
    "abs": lambda a: a.abs(),
    "log": lambda a: np.log(a.where(a > 0)),
    "sign": np.sign,
    "min": np.minimum,
    "max": np.maximum,
    "signed_power": lambda a, b: np.sign(a) * a.abs() ** b,
    "rank": lambda a: a.rank(axis=1, pct=True),
    "scale": lambda a, size: a.mul(size).div(a.abs().sum(axis=1), axis=0),
    "delay": lambda a, n: a.shift(int(n)),
    "delta": lambda a, n: a.diff(int(n)),
    "sum": lambda a, n: rolling(a, n).sum(),
    "mean": lambda a, n: rolling(a, n).mean(),
    "stddev": lambda a, n: rolling(a, n).std(),
    "product": lambda a, n: rolling(a, n).apply(np.prod, raw=True),
    "ts_min": lambda a, n: rolling(a, n).min(),
    "ts_max": lambda a, n: rolling(a, n).max(),
    "ts_argmin": lambda a, n: rolling(a, n).apply(np.argmin, raw=True) + 1,
    "ts_argmax": lambda a, n: rolling(a, n).apply(np.argmax, raw=True) + 1,
    "ts_rank": lambda a, n: rolling(a, n).rank(pct=True),
    "correlation": lambda a, b, n: rolling(a, n).corr(b, pairwise=False).replace([np.inf, -np.inf], np.nan),
    "covariance": lambda a, b, n: rolling(a, n).cov(b, pairwise=False),
    "decay_linear": decay_linear,
}


# --- measuring


def measure(run):
    """``({"wall_s", "cpu_s"}, result)`` of one call."""
    start, used = time.perf_counter(), cpu()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = run()
    return {"wall_s": round(time.perf_counter() - start, 2), "cpu_s": round(cpu() - used, 2)}, result


def cpu():
    """Seconds of CPU that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def print_line(**values):
    """One measurement as a JSON line."""
    print(json.dumps({"benchmark": "features", **values}), flush=True)


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--symbols", type=int, default=130)
    parser.add_argument("--rows", type=int, default=4800)
    parser.add_argument("--formulas", type=int, default=101, help="how many of Alpha101")
    parser.add_argument("--sets", nargs="+", default=["alpha158", "alpha101"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
