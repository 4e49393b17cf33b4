"""The gate as a job, from files to verdict."""

import numpy as np
import pytest

from scripts.common.atomic import write_json, write_table
from scripts.common.job import Job
from scripts.common.results import read_json
from scripts.ensemble import gate_ensemble, train_meta
from tests.ensemble import stacks

MODELS = ["lgb", "xgb", "cross"]
STACK = {"decision": "stack", "reason": None, "rows": {"grid": 9000, "oof": 6000}}
OFF = {"min_rows_to_deploy": 0, "min_auc": 0, "max_auc": 0, "max_test_gap": 0}


def gate(folder, oof, test=None, limits=None):
    """Train the meta-model on ``oof`` and judge it: ``(gate.json, metrics.json)``."""
    path = {name: str(folder / f"{name}.parquet") for name in ("oof", "stacked", "test")}
    path |= {name: str(folder / f"{name}.json") for name in ("meta", "diversity", "gate", "metrics")}
    write_table(path["oof"], oof)
    write_json(path["diversity"], {"kept": ["lgb", "xgb"], "pruned": [{"model": "cross"}]})
    train_meta.main(
        Job(
            input={"oof": path["oof"], "diversity": path["diversity"]},
            output={"meta": path["meta"], "stacked": path["stacked"]},
            params={"kind": "logistic", "settings": stacks.METAS["logistic"], "extra": ["hvol_20"], "seed": 7},
        )
    )
    files = {name: path[name] for name in ("oof", "stacked", "meta", "diversity")}
    files["indexes"] = []
    for index in stacks.indexes():
        files["indexes"].append(str(folder / f"{index['model']}.index.json"))
        write_json(files["indexes"][-1], index)
    if test is not None:
        write_table(path["test"], test)
        files["test"] = path["test"]
    gate_ensemble.main(
        Job(
            input=files,
            output={"gate": path["gate"], "metrics": path["metrics"]},
            params={"decision": STACK, "gates": stacks.GATES | (limits or {}), "horizon": 5, "models": MODELS},
        )
    )
    return read_json(path["gate"]), read_json(path["metrics"])


def failed(body):
    return {rule["name"] for rule in body["rules"] if rule["passed"] is False}


def test_a_signal_is_accepted(tmp_path):
    body, metrics = gate(tmp_path, stacks.oof(6000))
    assert (body["schema"], body["verdict"], failed(body)) == ("quantmake/gate/1", "accepted", set())
    assert metrics["oof"]["scores"]["stack"]["auc"] == next(r["value"] for r in body["rules"] if r["name"] == "min_auc")
    assert metrics["meta"] == {"kind": "logistic", "models": ["lgb", "xgb"], "extra": ["hvol_20"]}
    assert metrics["pruned"] == [{"model": "cross"}] and metrics["decision"] == STACK
    assert metrics["oof"]["rows"] == 5000 and "cross" in metrics["oof"]["scores"]


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_refused_even_when_nothing_else_is_asked(tmp_path, seed):
    body, _ = gate(tmp_path, stacks.oof(6000, seed=seed, signal=0.0), limits=OFF)
    assert body["verdict"] == "refused" and failed(body) == {"better_than_noise"}


def test_a_leak_is_refused_for_being_too_good(tmp_path):
    oof = stacks.oof(6000)
    hint = np.random.default_rng(0).normal(size=len(oof)) + 1.5 * oof["y"]
    body, _ = gate(tmp_path, oof.assign(p_lgb=1 / (1 + np.exp(-0.3 * hint))))
    assert body["verdict"] == "refused" and failed(body) == {"max_auc"}
    assert "too good" in body["reason"]


def test_too_few_rows_to_deploy_and_to_certify(tmp_path):
    body, _ = gate(tmp_path, stacks.oof(2500))
    assert {"min_rows_to_deploy", "better_than_noise"} <= failed(body)
    assert "shifts, 2000 needed" in body["reason"]


def test_the_hold_out_is_compared(tmp_path):
    test = stacks.oof(3000, seed=5, start="2022-06-01").drop(columns="fold")
    good, metrics = gate(tmp_path, stacks.oof(6000), test.assign(p_stack=test["p_lgb"]))
    assert (good["verdict"], failed(good)) == ("accepted", set())
    assert set(metrics["test"]["scores"]) == {"stack", *MODELS}
    bad, _ = gate(tmp_path, stacks.oof(6000), test.assign(p_stack=0.5))
    assert failed(bad) == {"max_test_gap", "test_against_best_base"}
    one_class, metrics = gate(tmp_path, stacks.oof(6000), test.assign(p_stack=test["p_lgb"], y=1))
    assert failed(one_class) == {"max_test_gap", "test_max_auc", "test_against_best_base"}
    assert metrics["test"]["scores"]["stack"]["auc"] is None


def test_two_runs_write_equal_files(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        gate(tmp_path / name, stacks.oof(4000))
    for name in ("gate.json", "metrics.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_skipped_ensemble_reads_nothing_and_says_why(tmp_path):
    decision = {"decision": "skip", "reason": "1020 out-of-fold rows, 8000 needed to stack", "rows": {"oof": 1020}}
    output = {name: str(tmp_path / f"{name}.json") for name in ("gate", "metrics")}
    params = {"decision": decision, "gates": stacks.GATES, "horizon": 5, "models": MODELS}
    gate_ensemble.main(Job(input={}, output=output, params=params))
    body, metrics = read_json(output["gate"]), read_json(output["metrics"])
    assert (body["verdict"], body["reason"], body["rules"]) == ("skipped", decision["reason"], [])
    assert metrics["decision"] == decision and "oof" not in metrics
