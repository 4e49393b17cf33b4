"""Small files of a study as the other stages write them, made by their own functions on made-up rows."""

import csv
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pandas as pd

from scripts.common.atomic import write_json
from scripts.common.job import Job
from scripts.ensemble import diversity, folds, gates, importance, metrics
from scripts.market import bars, surveys
from scripts.market.findings import finding

STACK = {"ensemble": "up", "target": "AAA", "timeframe": "1h"}
GATES = {
    "min_rows_to_stack": 1000,
    "min_rows_to_deploy": 2000,
    "min_auc": 0.55,
    "max_auc": 0.75,
    "better_than_noise": 0.001,
    "max_test_gap": 0.05,
    "permutations": 2000,
}
FOLDS = {"train": 2000, "validation": 200, "test": 100, "step": 100, "window": "rolling"}


def plan(hours=8760, holdout=0.15, least=1000, **changed):
    """folds.json of a year of hourly bars."""
    grid = pd.date_range("2021-01-01", periods=hours, freq="h", tz="UTC")
    rest = {"horizon": 5, "per_job": 24, "partition": "month", "timeframe": "1h", "min_rows_to_stack": least}
    return folds.plan(grid, **FOLDS | changed, warmup=0, holdout=holdout, **rest)


def figures(rows=6000, signal=0.35, models=("lgb", "xgb"), test=True, seed=1):
    """(metrics.json, gate.json) of a stack whose scores know ``signal`` of the label."""
    rng = np.random.default_rng(seed)

    def table(count, *names):
        stamps = pd.date_range("2021-03-01", periods=count, freq="h", tz="UTC").as_unit("us")
        state = rng.standard_normal(count)
        y = (signal * state + rng.standard_normal(count) > 0).astype("int8")
        frame = {"timestamp": stamps, "fold": np.arange(count) // 100, "y": y, "t1": stamps + pd.Timedelta("5h")}
        scores = {f"p_{name}": 1 / (1 + np.exp(-signal * state - 0.1 * rng.standard_normal(count))) for name in names}
        return pd.DataFrame(frame | scores)

    oof = table(rows, *models, "stack")
    stacked = oof[["timestamp", "fold", "y", "t1", "p_stack"]][500:].reset_index(drop=True)
    scores = [{"fold": k, "window_test_auc": 0.5 + k / 100, "early_stopping_auc": 0.6 + k / 100} for k in range(5)]
    indexes = [{"model": model, "folds": scores} for model in models]
    held = table(2500, *models, "stack") if test else None
    oof = oof.drop(columns="p_stack")
    body = metrics.collect(list(models), oof, stacked, held, indexes, horizon=5, permutations=2000)
    decision = {"decision": "stack", "reason": None, "rows": {"grid": 8760, "oof": rows}}
    return body | {"decision": decision}, gates.judge(body, GATES, rows)


def skipped():
    """(metrics.json, gate.json) of a stack that was not trained."""
    reason = "600 out-of-fold rows, 1000 needed to stack"
    return {"decision": {"decision": "skip", "reason": reason, "rows": {"grid": 2190, "oof": 600}}}, gates.skipped(
        reason
    )


def likeness(pruned=False):
    """diversity.json of three models of which two say nearly the same."""
    rng = np.random.default_rng(0)
    base, other = rng.standard_normal(2000), rng.standard_normal(2000)
    table = pd.DataFrame({"lgb": base, "xgb": base + 0.05 * other, "cross": base + 2 * other})
    y = (base + rng.standard_normal(2000) > 0).astype(int)
    return diversity.measure(table, y, max_correlation=0.98, prune=pruned)


def gains(models=("lgb", "xgb"), features=30, scale=1.0):
    """importance.parquet: the later a feature, the less it is used."""
    names = [f"feature_{number:02d}" for number in range(features)]
    tables = []
    for place, model in enumerate(models):
        gain = [[2.0 ** (-number * (1 + place) * scale) for number in range(features)]] * 3
        tables.append(importance.gain_shares(model, [{"features": names, "folds": [{"gain": each} for each in gain]}]))
    return pd.concat(tables, ignore_index=True)


def account(symbol, start="2021-01-01", end="2022-07-01", without=None, findings=(), quarantined=0, notes=None):
    """bars/<symbol>.json of hourly bars, less those between the two days ``without``."""
    stamps = pd.date_range(start, end, freq="h", tz="UTC", inclusive="left").as_unit("us")
    if without:
        stamps = stamps[(stamps < pd.Timestamp(without[0], tz="UTC")) | (stamps >= pd.Timestamp(without[1], tz="UTC"))]
    frame = pd.DataFrame({"timestamp": stamps, **dict.fromkeys(("open", "high", "low", "close", "volume"), 1.0)})
    told = {"findings": list(findings), "quarantined": quarantined, "notes": notes or {}}
    return bars.account(frame, symbol=symbol, timeframe="1h", **told)


def market():
    """(accounts, quality.json, asset_metadata.json, manifest.json) of two symbols, one with a hole and an error."""
    gap = finding("gap", "warning", "984 bars of the calendar are missing", 984, *hours("2022-03-10", "2022-04-20"))
    bad = finding("negative_price", "error", "close is -1 <b>", 2, *hours("2021-06-05", "2021-06-05"))
    oracle = {"oracle_auc": {"auc": 0.615, "horizon": 5, "n": 9000}}
    accounts = [
        account("AAA", notes=oracle),
        account("BBB", without=("2022-03-10", "2022-04-20"), findings=[bad, gap], quarantined=2),
    ]
    checks = {"max_gap": "6h", "max_abs_log_return": 0.35, "on_violation": "quarantine"}
    quality = surveys.quality(accounts, [], {"checked": True, "rule": "lagged correlation"}, checks)
    metadata = {each["symbol"]: {"unseen": each["symbol"] == "BBB", "notes": each["notes"]} for each in accounts}
    manifest = surveys.manifest(accounts, "made") | {"timeframe": "1h", "calendar": "always"}
    return accounts, quality, {"symbols": metadata}, manifest


def hours(*days):
    return [np.datetime64(day, "us") for day in days]


def job(folder, main, contents, output, **more):
    """Run a script's ``main`` on ``contents`` (input name to JSON value, frame or list of values); returns its output.

    ``output``: file name, or names by key.
    """
    inputs = {name: _write(folder, name, value) for name, value in contents.items()}
    named = {"only": output} if isinstance(output, str) else output
    paths = {name: str(folder / "out" / file) for name, file in named.items()}
    main(Job(input=inputs, output=paths, wildcards=more.pop("wildcards", STACK), **more))
    return next(iter(paths.values())) if isinstance(output, str) else paths


def _write(folder, name, value):
    if isinstance(value, list):
        return [_write(folder, f"{name}{place}", each) for place, each in enumerate(value)]
    if isinstance(value, pd.DataFrame):
        value.to_parquet(folder / f"{name}.parquet")
        return str(folder / f"{name}.parquet")
    write_json(folder / f"{name}.json", value)
    return str(folder / f"{name}.json")


def words(path):
    """All text of an SVG file, which has to be well-formed XML."""
    root = ElementTree.parse(path).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return [text.strip() for text in root.itertext() if text.strip()]


class Cells(HTMLParser):
    """The rows of all tables of a page, cell by cell, and its text; every element has to be closed."""

    VOID = {"meta", "br"}

    def __init__(self, path):
        super().__init__()
        self.rows, self.text, self.open = [], "", []
        with open(path, encoding="utf-8") as file:
            self.feed(file.read())
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "br":
            self.handle_data(" | ")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def csv_rows(path):
    """The rows of a csv file as dicts."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
