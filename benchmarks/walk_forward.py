"""357 walk-forward LightGBM folds: blocks of folds as `train_folds` runs them, beside the loop that most people write.

    python benchmarks/walk_forward.py [--folds 357] [--rows 43737]

The peer: one pandas frame of float64 features, for each fold a new Dataset, training with LightGBM's default threads,
early stopping with patience 50, one fold after the other. Ours: float32, bins once per block of 24 folds from the
block's first training window, one thread per process, as many processes as cores. Both see the same rows, the same
folds with the same purge, in one run on one machine:

    same       the very same hyper-parameters: 255 bins, patience 50
    defaults   the project's defaults (63 bins, patience 20) against the peer as above

Real hourly ETH bars where QUANTMAKE_REAL_DATA names them, else a simulated market. Prints a JSON line per measurement:
wall and CPU seconds, pooled AUC; then the ratios and the 95 % interval of the paired AUC difference.
"""

import argparse
import json
import os
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.common.statistics.auc import auc, difference  # noqa: E402
from scripts.common.statistics.uniqueness import effective_rows  # noqa: E402
from scripts.ensemble import folds, models  # noqa: E402
from scripts.ensemble.blocks import train_block  # noqa: E402
from scripts.ensemble.rows import Rows  # noqa: E402
from scripts.ensemble.settings import LightGBM  # noqa: E402
from scripts.market.features import technical  # noqa: E402
from scripts.market.labels import label  # noqa: E402

HORIZON, PER_JOB = 5, 24
SAME = {"max_bin": 255, "patience": 50}


def main():
    """Measure the three variants and print what came out."""
    options = arguments()
    rows, source = table(options.rows)
    plan = plan_folds(rows, options.folds)
    print_line(machine=os.cpu_count(), source=source, rows=len(rows.y), features=len(rows.names), folds=len(plan))
    measured = {
        "peer": measure(lambda: peer(rows, plan, settings(**SAME))),
        "same": measure(lambda: ours(rows, plan, settings(**SAME))),
        "defaults": measure(lambda: ours(rows, plan, settings())),
    }
    for name, (figures, places, p) in measured.items():
        print_line(variant=name, **figures, auc=round(auc(rows.y[places], p), 5), n=len(p))
    figures, places, base = measured["peer"]
    independent = effective_rows(rows.timestamp[places], rows.t1[places])
    for name in ("same", "defaults"):
        other, _, p = measured[name]
        found = difference(rows.y[places], p, base, independent)
        print_line(
            comparison=f"{name} against peer",
            wall_ratio=round(figures["wall_s"] / other["wall_s"], 2),
            cpu_ratio=round(figures["cpu_s"] / other["cpu_s"], 2),
            auc_difference=[round(each, 5) for each in (found.value, found.low, found.high)],
            effective_n=round(independent),
        )


def peer(rows, plan, chosen):
    """The loop: positions of the test rows and their predictions."""
    import lightgbm

    frame = pd.DataFrame(rows.x.astype("float64"), columns=rows.names)
    target = pd.Series(rows.y)
    parameters = {key: value for key, value in chosen.items() if key not in ("rounds", "patience")}
    parameters |= {"objective": "binary", "metric": "auc", "verbosity": -1, "seed": 7}
    places, predictions = [], []
    for fold in plan:
        part = folds.rows_of(fold, rows.timestamp, rows.t1)
        train = lightgbm.Dataset(frame.iloc[part["train"]], target.iloc[part["train"]])
        valid = lightgbm.Dataset(frame.iloc[part["validation"]], target.iloc[part["validation"]], reference=train)
        stop = lightgbm.early_stopping(chosen["patience"], verbose=False)
        booster = lightgbm.train(parameters, train, chosen["rounds"], valid_sets=[valid], callbacks=[stop])
        predictions.append(booster.predict(frame.iloc[part["test"]]))
        places.append(part["test"])
    return np.concatenate(places), np.concatenate(predictions)


def ours(rows, plan, chosen):
    """Blocks of folds in processes of one thread each, as the workflow schedules them."""
    blocks = [plan[start : start + PER_JOB] for start in range(0, len(plan), PER_JOB)]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("fork")) as pool:
        done = list(pool.map(_block, [(rows, block, chosen) for block in blocks]))
    return np.concatenate([places for places, _ in done]), np.concatenate([p for _, p in done])


def _block(work):
    rows, block, chosen = work
    trained = list(train_block(models.load("lightgbm"), rows, block, chosen, threads=1, seed=7))
    return np.concatenate([each.test_rows for each in trained]), np.concatenate([each.p for each in trained])


def measure(run):
    """``({"wall_s", "cpu_s"}, places, predictions)`` of one call; CPU of this process and its children."""
    start, used = time.perf_counter(), cpu()
    places, p = run()
    return {"wall_s": round(time.perf_counter() - start, 1), "cpu_s": round(cpu() - used, 1)}, places, p


def cpu():
    """Seconds of CPU that this process and its ended children have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def table(wanted):
    """The last ``wanted`` labelled bars as :class:`Rows`, and where they are from."""
    bars, source = read_bars()
    features = technical.compute(bars)
    labels = label(bars, {"kind": "direction", "horizon": HORIZON})
    kept = bars["timestamp"].isin(labels["timestamp"]).to_numpy()
    times = [labels[name].dt.tz_localize(None).to_numpy() for name in ("timestamp", "t1")]
    values = (labels["y"].to_numpy(), labels["forward_return"].to_numpy(), features.to_numpy()[kept])
    rows = Rows(*times, *values, [*features])
    last = slice(len(rows.y) - min(wanted, len(rows.y)), None)
    parts = (rows.timestamp, rows.t1, rows.y, rows.forward_return, rows.x)
    return Rows(*(np.ascontiguousarray(each[last]) for each in parts), rows.names), source


def read_bars():
    """Five years and more of hourly bars."""
    real = os.environ.get("QUANTMAKE_REAL_DATA")
    if real:
        frame = pd.read_parquet(Path(real) / "crypto_1h" / "ETHUSDT.parquet")
        inside = (frame["timestamp"] >= "2021-02-20") & (frame["timestamp"] < "2026-02-20")
        return frame[inside].reset_index(drop=True), "ETHUSDT hourly, 2021-02-20 to 2026-02-20"
    from scripts.market.sources import simulate

    source = {"start": "2021-01-01", "end": "2026-01-01", "signal": 0.05, "signal_horizon": HORIZON}
    source |= {"correlation": 0.6, "annual_volatility": 0.6}
    frame, _ = simulate.read("ALPHA", source, files=[], timeframe="1h", calendar="always", span=None, seed=7)
    return frame, "simulated hourly, signal 0.05"


def plan_folds(rows, number):
    """The first ``number`` folds of the source system's kind: train 8000, test 100, step 100."""
    grid = pd.DatetimeIndex(rows.timestamp).tz_localize("UTC")
    windows = {"train": 8000, "validation": 500, "test": 100, "step": 100, "window": "rolling"}
    planned = folds.plan(
        grid,
        **windows,
        warmup=0,
        holdout=0,
        horizon=HORIZON,
        per_job=PER_JOB,
        partition="quarter",
        timeframe="1h",
        min_rows_to_stack=0,
    )
    return planned["folds"][:number]


def settings(**changes):
    """The project's LightGBM settings with ``changes``, as a job gets them."""
    return LightGBM(kind="lightgbm", **changes).model_dump(mode="json", exclude={"kind", "features"})


def print_line(**values):
    """One measurement as a JSON line."""
    print(json.dumps({"benchmark": "walk_forward", **values}), flush=True)


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=int, default=357)
    parser.add_argument("--rows", type=int, default=43_737)
    return parser.parse_args()


if __name__ == "__main__":
    main()
