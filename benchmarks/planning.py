"""The plan of the largest study: 51 symbols, 3 timeframes, 6 models, 357 folds each, on one core.

    python benchmarks/planning.py [--symbols 51] [--per-job 120]

A folder with the study's config and what its checkpoints make (manifest and fold plans, made by the code that the
rules call; bars are empty files) is planned with `snakemake --dry-run`: once whole, once with `--batch all=1/8`, and
once for the gates of the first symbols, an eighth of them. The peer is a Snakefile of as many jobs without any
function or param: what Snakemake itself takes. Prints a JSON line per plan: jobs, wall and CPU seconds, peak memory;
then the ratios to the peer.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.common.periods import iso, months_between, stamp  # noqa: E402
from scripts.ensemble import folds  # noqa: E402
from scripts.market import calendars, labels  # noqa: E402
from scripts.study import read_study  # noqa: E402

START, END = "2015-01-01", "2025-01-01"
FOLDS = 357
# bars from one fold to the next and bars that no fold uses, so that there are as many folds on each timeframe
TIMEFRAMES = {"1h": (117, 468), "2h": (59, 236), "4h": (30, 210)}


def main():
    """Make the folder, plan it in every way, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int, default=51)
    parser.add_argument("--per-job", type=int, default=120)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = make_study(Path(folder), options.symbols, options.per_job)
        print_line(symbols=options.symbols, stacks=3 * options.symbols, folds=made, cores=1)
        whole = measure(folder, [], plan="whole")
        measure(folder, ["--batch", "all=1/8"], plan="--batch all=1/8")
        measure(folder, ["--", *gates(options.symbols // 8 + 1)], plan="gates of an eighth of the symbols")
    with tempfile.TemporaryDirectory() as folder:
        make_peer(Path(folder), whole["jobs"])
        bare = measure(folder, [], plan="peer")
    print_line(**{f"ratio_of_{each}": round(whole[each] / bare[each], 2) for each in ("wall_s", "cpu_s")})


def print_line(**figures):
    """One JSON line."""
    print(json.dumps(figures), flush=True)


def config_of(symbols, per_job):
    """The study's config: six models on two feature sets on each of three timeframes."""
    shared = {"validation": 200, "window": "rolling", "holdout": 0.15, "per_job": per_job}
    kinds, sets = ("lightgbm", "xgboost"), (["technical"], ["alpha158"], ["technical", "alpha158"])
    models = {f"{kind}{k}": {"kind": kind, "features": each} for kind in kinds for k, each in enumerate(sets)}
    return {
        "study": "largest",
        "markets": {
            "fx": {
                "source": {"kind": "simulate"},
                "symbols": [f"S{k:02d}" for k in range(symbols)],
                "timeframe": "1h",
                "calendar": "fx",
                "partition": "year",
                "span": {"start": START, "end": END},
            }
        },
        "ensembles": {
            "stack": {
                "market": "fx",
                "models": models,
                "timeframes": {
                    timeframe: {"folds": shared | {"train": 67 * step, "test": step, "step": step, "warmup": unused}}
                    for timeframe, (step, unused) in TIMEFRAMES.items()
                },
            }
        },
    }


def make_study(folder, symbols, per_job):
    """Put into ``folder`` the workflow and a study whose checkpoints are made; folds by timeframe."""
    for name in ("Snakefile", "rules", "scripts", "envs", "profiles", "resources"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    config = config_of(symbols, per_job)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    study = read_study(config)
    market = folder / "results/largest/market/fx"
    known = {"first": f"{START}T00:00:00Z", "last": f"{END}T00:00:00Z", "rows": 62_000}
    months = {month: {"rows": 500, "sha256": "0" * 64} for month in months_between(stamp(START), stamp(END))}
    for symbol in study.markets["fx"].symbols:
        for name in (f"bars/{symbol}.parquet", f"bars/{symbol}.json", f"quarantine/{symbol}.parquet"):
            write(market / name, "")
    symbols = {symbol: known | {"months": months} for symbol in study.markets["fx"].symbols}
    write(market / "manifest.json", json.dumps({"first": known["first"], "last": known["last"], "symbols": symbols}))
    counts = {}
    for timeframe in TIMEFRAMES:
        stack = study.ensembles["stack"].at(timeframe)
        grid = calendars.grid("fx", timeframe, stamp(START), stamp(END))
        plan = folds.plan(
            grid,
            **stack.folds.model_dump(mode="json"),
            horizon=labels.lookahead(stack.label.model_dump()),
            partition="year",
            timeframe=timeframe,
            min_rows_to_stack=stack.gates.min_rows_to_stack,
            first=iso(grid[0]),
        )
        counts[timeframe] = len(plan["folds"])
        for symbol in study.markets["fx"].symbols:
            write(folder / f"results/largest/ensemble/stack/{symbol}/{timeframe}/folds.json", json.dumps(plan))
    return counts


def gates(symbols):
    """The gate files of the stacks of the first symbols, as targets of a run."""
    folder = "results/largest/ensemble/stack"
    return [f"{folder}/S{k:02d}/{timeframe}/gate.json" for k in range(symbols) for timeframe in TIMEFRAMES]


def write(path, text):
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def make_peer(folder, jobs):
    """A Snakefile of as many jobs in three levels, with names that wildcards are matched in and nothing to compute."""
    (folder / "Snakefile").write_text(
        f"""
wildcard_constraints:
    n="[0-9]+",

rule all:
    input: expand("out/c/{{n}}.txt", n=range({jobs // 3}))

rule a:
    output: "out/a/{{n}}.txt"
    log: "logs/a/{{n}}.log"
    resources: mem_mb=500, runtime=5
    shell: "true"

rule b:
    input: "out/a/{{n}}.txt"
    output: "out/b/{{n}}.txt"
    log: "logs/b/{{n}}.log"
    resources: mem_mb=500, runtime=5
    shell: "true"

rule c:
    input: "out/b/{{n}}.txt"
    output: "out/c/{{n}}.txt"
    log: "logs/c/{{n}}.log"
    resources: mem_mb=500, runtime=5
    shell: "true"
"""
    )


def measure(folder, options, **names):
    """Plan ``folder`` on one core: jobs, wall and CPU seconds, peak memory in MiB. Prints them as a line."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", "--quiet", "rules", *options]
    begun = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {0}),
    )
    lines = list(process.stdout)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    if status:
        sys.exit("".join(lines[-30:]))
    jobs = next(int(line.split()[1]) for line in lines if line.startswith("total"))
    figures = {
        "jobs": jobs,
        "wall_s": round(wall, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_mib": round(used.ru_maxrss / 1024),
    }
    print_line(**names, **figures)
    return figures


if __name__ == "__main__":
    main()
