"""A whole study in about a minute: three symbols of made-up hourly bars in csv files, three models in blocks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from tests.planning import copy_checkout

SYMBOLS = ("AAA", "BBB", "CCC")
MONTHS = pd.period_range("2021-01", "2021-09", freq="M")

STUDY = {
    "study": "tiny",
    "seed": 7,
    "markets": {
        "made": {
            "source": {"kind": "files", "path": "data", "pattern": "{symbol}.csv"},
            "symbols": list(SYMBOLS),
            "partition": "month",
        }
    },
    "ensembles": {
        "up": {
            "market": "made",
            "targets": ["AAA"],
            "peers": ["BBB", "CCC"],
            "timeframes": {"1h": {}, "4h": {"folds": {"train": 400, "validation": 50}}},
            "label": {"kind": "direction", "horizon": 3},
            "folds": {"train": 1000, "validation": 200, "test": 200, "step": 200, "per_job": 6, "holdout": 0.15},
            "models": {
                "lgb": {
                    "kind": "lightgbm",
                    "features": ["technical"],
                    "rounds": 30,
                    "num_leaves": 7,
                    "min_data_in_leaf": 20,
                },
                "xgb": {
                    "kind": "xgboost",
                    "features": ["technical"],
                    "rounds": 30,
                    "max_depth": 3,
                    "min_child_weight": 5,
                },
                "cross": {
                    "kind": "lightgbm",
                    "features": ["technical", "cross_asset"],
                    "rounds": 30,
                    "num_leaves": 7,
                    "min_data_in_leaf": 20,
                },
            },
            "meta": {"kind": "logistic", "extra": ["hvol_20"]},
            "gates": {"min_rows_to_stack": 2500, "min_rows_to_deploy": 2500},
        }
    },
}

# a study of the corpus stage alone, on the same bars
TALK = {
    "study": "tiny",
    "seed": 7,
    "markets": STUDY["markets"],
    "corpora": {
        "trading": {
            "market": "made",
            "symbols": ["AAA", "BBB"],
            "parts": {
                "candles": {"kind": "formulas", "samples": 60, "families": ["alpha158"]},
                "volatilities": {
                    "kind": "formulas",
                    "samples": 60,
                    "families": ["volatility"],
                    "aspects": ["meaning", "failure"],
                },
                "states": {"kind": "features", "per_symbol": 30},
                "decisions": {"kind": "trades", "per_symbol": 30},
                "pairs": {"kind": "preferences", "per_symbol": 60},
                "verifiable": {"kind": "rewards", "samples": 120, "families": ["alpha158"]},
            },
            "splits": {"validation": 0.1, "test": 0.2},
        },
        "wealth": {
            "parts": {
                "funds": {
                    "kind": "domain",
                    "domain": "investment",
                    "easy": 40,
                    "medium": 40,
                    "hard": 40,
                    "extreme": 40,
                },
                "estates": {"kind": "domain", "domain": "estate_planning", "easy": 90, "medium": 90},
            },
            "curriculum": {
                "phases": {
                    "A": {
                        "samples": 20,
                        "easy": 0.35,
                        "medium": 0.35,
                        "hard": 0.25,
                        "extreme": 0.05,
                        "order": "blocks",
                    },
                    "B": {"samples": 40, "easy": 0.2, "medium": 0.4, "hard": 0.3, "extreme": 0.1},
                    "C": {"samples": 20, "easy": 0.1, "medium": 0.25, "hard": 0.35, "extreme": 0.3},
                }
            },
            "benchmark": {"per_domain": 10},
        },
    },
}

# a study of the language stage: everything that its rules make, of models too small to learn much
CHAT = {
    "study": "tiny",
    "seed": 7,
    "device": "cpu",
    "markets": STUDY["markets"],
    "corpora": {
        "trading": {
            "market": "made",
            "symbols": ["AAA", "BBB"],
            "parts": {
                "states": {"kind": "features", "per_symbol": 60},
                "pairs": {"kind": "preferences", "per_symbol": 60, "facts": [2, 3], "decision": "first"},
            },
            "splits": {"validation": 0.1, "test": 0.2},
        }
    },
    "bases": {
        "tiny": {
            "kind": "scratch",
            "corpora": ["trading"],
            "vocabulary": 512,
            "hidden": 256,
            "layers": 1,
            "steps": 40,
            "batch": 4,
        }
    },
    "recipes": {
        "student": {
            "base": "tiny",
            "corpus": "trading",
            "adapter": {"method": "lora", "r": 8, "alpha": 16, "dropout": 0.1},
            "sft": {"batch": 8, "samples": 48, "validation_samples": 8},
            "phases": {"A": {}, "B": {"sft": {"epochs": 2}}, "C": {"sft": {"learning_rate": 0.0005}}},
            "dpo": {"parts": ["pairs"], "samples": 32, "batch": 8},
            "export": {"quants": ["F32", "Q8_0"], "lora": True, "verified_texts": 8, "min_agreement": {"Q8_0": 0.5}},
            "evaluation": {
                "texts": {"kind": "held_out", "corpus": "trading", "samples": 8},
                "pairs": {"kind": "pairs", "corpus": "trading", "samples": 8},
            },
        }
    },
}


def bars(symbol, months=MONTHS):
    """A seeded random walk of hourly bars; more months change no earlier one."""
    rng = np.random.default_rng([7, sum(map(ord, symbol))])
    stamps = pd.date_range("2021-01-01", periods=24 * 366, freq="h", tz="UTC")
    noise = rng.standard_normal((len(stamps), 4))
    close = 100 * np.exp(np.cumsum(0.01 * noise[:, 0]))
    opened = np.r_[100, close[:-1]]
    frame = pd.DataFrame(
        {
            "timestamp": stamps,
            "open": opened,
            "high": np.maximum(opened, close) * np.exp(0.004 * np.abs(noise[:, 1])),
            "low": np.minimum(opened, close) * np.exp(-0.004 * np.abs(noise[:, 2])),
            "close": close,
            "volume": np.exp(5 + 0.3 * noise[:, 3]),
        }
    )
    kept = frame["timestamp"].dt.tz_localize(None).dt.to_period("M")
    return frame[(kept >= months[0]) & (kept <= months[-1])]


def write_bars(folder, symbol, months=MONTHS):
    """Write a symbol's csv as the source of the study."""
    write_csv(folder, symbol, bars(symbol, months))


def write_csv(folder, symbol, frame):
    """Write bars as a symbol's csv."""
    path = Path(folder) / "data" / f"{symbol}.csv"
    path.parent.mkdir(exist_ok=True)
    stamps = frame["timestamp"].dt.strftime("%Y-%m-%d %H:%M:%S")
    frame.assign(timestamp=stamps).to_csv(path, index=False, float_format="%.6f")


def make_checkout(folder, study=STUDY):
    """A checkout in ``folder`` whose config.yaml is the tiny study, with its bars; nothing is built."""
    copy_checkout(folder)
    shutil.copy(Path(__file__).with_name("quick_start.py"), folder / "sitecustomize.py")
    write_study(folder, study)
    for symbol in SYMBOLS:
        write_bars(folder, symbol)
    return folder


def write_study(folder, study):
    """Make ``study`` the checkout's default study."""
    (Path(folder) / "config.yaml").write_text(yaml.safe_dump(study, sort_keys=False))


def snakemake(folder, *arguments, check=True):
    """Run the command line in a checkout; returns the completed process with its output as text."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SNAKEMAKE")}
    environment["PYTHONPATH"] = str(folder)  # as the Snakefile sets it for jobs
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    if check and done.returncode:
        raise AssertionError(
            f"{' '.join(command)} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        )
    return done


def jobs_run(done):
    """The jobs that a run executed: sorted list of ``rule wildcard wildcard ...``, targets left out."""
    jobs, rule, wildcards = [], None, {}
    for line in [*done.stderr.splitlines(), "rule end:"]:
        words = line.strip().split(" ", 1)
        if line.startswith(("rule ", "localrule ", "checkpoint ", "localcheckpoint ")):
            if rule not in (None, "all", "plans", "checks"):
                jobs.append(" ".join([rule, *(value for _, value in sorted(wildcards.items()))]))
            rule, wildcards = line.split()[1].rstrip(":"), {}
        elif words[0] == "wildcards:":
            wildcards = dict(pair.split("=", 1) for pair in words[1].split(", "))
    return sorted(jobs)


def contents(folder):
    """``{path: bytes}`` of all artifacts below results; logs, benchmarks and the report page are none."""
    results = Path(folder) / "results"
    return {
        path.relative_to(results).as_posix(): path.read_bytes()
        for path in sorted(results.rglob("*"))
        if path.is_file()
        and not {"logs", "benchmarks"} & set(path.relative_to(results).parts)
        and path.name != "report.html"
        and path.name != ".snakemake_timestamp"
    }
