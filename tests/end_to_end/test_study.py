"""The tiny study from raw files to the gated graph: what a user finds in the results."""

import json
import re
import subprocess
import sys

import numpy as np
import onnxruntime
import pandas as pd
import pytest

from scripts.common.statistics.auc import auc
from tests.planning import ROOT
from tests.tiny import SYMBOLS, snakemake, write_study

STACK = "ensemble/up/AAA/1h"


@pytest.fixture(scope="module")
def results(built):
    return built / "results/tiny"


def read(path):
    return json.loads(path.read_text())


def test_the_market_is_checked_and_summarised(results):
    manifest = read(results / "market/made/manifest.json")
    assert list(manifest["symbols"]) == sorted(SYMBOLS)
    for symbol in SYMBOLS:
        bars = pd.read_parquet(results / f"market/made/bars/{symbol}.parquet")
        assert sum(month["rows"] for month in manifest["symbols"][symbol]["months"].values()) == len(bars) == 6552
        assert str(bars["timestamp"].dtype) == "datetime64[us, UTC]"
    assert read(results / "market/made/quality.json")["findings"] == []
    assert (results / "market/made/data_summary.csv").read_text().startswith("symbol,latest_date,total_rows")


def test_out_of_fold_rows_were_predicted_by_models_that_had_not_seen_them(results):
    plan, oof = read(results / STACK / "folds.json"), pd.read_parquet(results / STACK / "oof.parquet")
    assert list(oof.columns) == [
        "timestamp",
        "fold",
        "y",
        "t1",
        "forward_return",
        "p_lgb",
        "p_xgb",
        "p_cross",
        "hvol_20",
    ]
    assert oof["timestamp"].is_monotonic_increasing and oof["timestamp"].is_unique
    assert len(oof) == plan["rows"]["oof"]
    for fold in plan["folds"]:
        rows = oof[oof["fold"] == fold["fold"]]
        assert (rows["timestamp"] >= fold["test"][0]).all() and (rows["timestamp"] < fold["test"][1]).all()
        assert fold["train"][1] <= fold["validation"][0] < fold["validation"][1] <= fold["test"][0]
    assert (oof["t1"] < plan["holdout"]["start"]).all()


def test_a_random_walk_is_refused_and_its_files_exist_all_the_same(results):
    gate = read(results / STACK / "gate.json")
    assert gate["verdict"] == "refused" and "circular-shift" in gate["reason"]
    assert (results / STACK / "onnx/ensemble.onnx").is_file()
    stacked, metrics = pd.read_parquet(results / STACK / "stacked.parquet"), read(results / STACK / "metrics.json")
    assert metrics["oof"]["scores"]["stack"]["auc"] == pytest.approx(auc(stacked["y"], stacked["p_stack"]))
    assert metrics["oof"]["effective_rows"] == pytest.approx(len(stacked) / 3, rel=0.02)


def test_a_timeframe_with_too_few_rows_is_skipped_with_its_reason(results):
    folder = results / "ensemble/up/AAA/4h"
    assert sorted(path.name for path in folder.iterdir()) == ["folds.json", "gate.json", "metrics.json"]
    assert read(folder / "gate.json")["verdict"] == "skipped"
    assert re.match(r"\d+ out-of-fold rows, 2500 needed to stack", read(folder / "gate.json")["reason"])
    assert "2500 needed to stack" in (results / "report/gates.html").read_text()


def test_the_graph_predicts_what_the_hold_out_says(results):
    """Rows in, probability out: the features of the hold-out give the probabilities that were tested on it."""
    session = onnxruntime.InferenceSession(results / STACK / "onnx/ensemble.onnx")
    names = json.loads(session.get_modelmeta().custom_metadata_map["features"])
    test = pd.read_parquet(results / STACK / "test.parquet")
    folder = results / "market/made/features"
    own = pd.concat(pd.read_parquet(path) for path in sorted((folder / "technical/1h/AAA").iterdir()))
    panel = pd.concat(pd.read_parquet(path) for path in sorted((folder / "cross_asset/1h/panel").iterdir()))
    rows = own.merge(panel, on="timestamp").set_index("timestamp").loc[test["timestamp"], names].to_numpy()
    p = session.run(None, {"row": rows})[0][:, 0]
    assert np.abs(p - test["p_stack"]).max() <= 1e-6


def test_the_onnx_graph_was_verified(results):
    parity = read(results / STACK / "onnx/parity.json")
    assert set(parity["tried"]) == {"real", "threshold", "missing"}
    assert all(each["rows"] > 0 and each["max_difference"] <= 1e-6 for each in parity["tried"].values())


def test_no_file_is_a_pickle(results):
    for path in results.rglob("*"):
        if path.is_file():
            head = path.read_bytes()[:2]
            assert head not in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), path
            assert path.suffix not in (".pkl", ".pickle", ".joblib", ".npy"), path


def test_a_normal_run_has_no_warning_and_no_traceback(built, results):
    texts = [built / "first_run.log", *(results / "logs").rglob("*.log")]
    assert len(texts) > 50
    for path in texts:
        assert not re.search(r"Traceback|Warning:|\bwarn", path.read_text(), re.I), path


def test_every_result_tells_what_made_it(results):
    for path in results.rglob("*.json"):
        if not {"benchmarks", "report"} & set(path.relative_to(results).parts):
            assert read(path)["schema"].startswith("quantmake/"), path


def test_the_manifest_lists_every_artifact_and_verifies(built, results):
    done = subprocess.run(
        [sys.executable, "-m", "scripts.report.verify_results", "results/tiny"],
        cwd=built,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    manifest = read(results / "manifest.json")
    listed, graph = manifest["artifacts"], manifest["artifacts"][f"{STACK}/onnx/ensemble.onnx"]
    assert graph["rule"] == "compose_onnx" and graph["size"] == (results / STACK / "onnx/ensemble.onnx").stat().st_size
    assert any(each.startswith("scripts/ensemble/compose_onnx.py@") for each in manifest["jobs"][graph["job"]]["code"])
    assert f"{STACK}/lgb/folds/b000/fold_0.txt" in listed


def test_an_altered_fold_and_a_deleted_intermediate_are_found(checkout):
    (checkout / f"results/tiny/{STACK}/oof.parquet").unlink()
    fold = checkout / f"results/tiny/{STACK}/lgb/folds/b000/fold_0.txt"
    fold.write_text(fold.read_text()[:-10])
    done = snakemake(checkout, "verify_results", check=False)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "oof.parquet" in said and "fold_0.txt" in said
    assert not (checkout / f"results/tiny/{STACK}/oof.parquet").exists(), (
        "asking for the verification rebuilt something"
    )


def test_the_report_is_one_page_that_needs_no_network(checkout):
    page = checkout / "report.html"
    done = snakemake(checkout, "--report", str(page))
    assert "Warning" not in done.stderr
    text = page.read_text()
    assert len(text) > 500_000
    assert not re.search(r"<(script|link)[^>]+(src|href)=[\"']https?:", text)
    for category in ("Study", "Market", "Ensemble"):
        assert category in text


def test_a_wrong_config_is_told_before_anything_runs(checkout):
    write_study(checkout, {"study": "tiny", "markets": {"made": {"source": {"kind": "simulate"}, "symbls": ["A"]}}})
    done = snakemake(checkout, check=False)
    assert done.returncode == 1
    assert "markets.made.symbls: there is no such key; did you mean 'symbols'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_source_file_is_named(checkout):
    (checkout / "data/BBB.csv").unlink()
    (checkout / "results/tiny/market/made/bars/BBB.parquet").unlink()
    done = snakemake(checkout, check=False)
    assert done.returncode == 1 and "data/BBB.csv" in done.stderr


def test_a_bad_source_file_says_what_and_where_and_loses_nothing_else(checkout):
    (checkout / "data/BBB.csv").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 10\n")
    done = snakemake(checkout, check=False)
    assert done.returncode == 1
    assert re.search(r"ingest_symbol .*BBB.* stopped: .*Git.LFS", done.stderr, re.S | re.I)
    assert (checkout / "results/tiny/market/made/bars/AAA.parquet").exists()


def test_the_config_file_of_the_repository_is_the_default_study():
    done = snakemake(ROOT, "--dry-run", "--quiet", "all")
    assert done.returncode == 0
