"""The parity check: it passes for a true graph, and any wrong branch, weight or missing value fails it."""

import json
import struct
from pathlib import Path

import numpy as np
import onnx
import pytest

from scripts.common.errors import StudyError
from scripts.common.results import read_json
from scripts.ensemble import graphs, latency, parity, verify_onnx
from scripts.ensemble.models import lightgbm
from tests.ensemble import composed


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    return composed.composed(tmp_path_factory.mktemp("stack"))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(latency, "REPETITIONS", 20)


def trees(model, name):
    (node,) = [
        each for each in model.graph.node if each.input[0] == f"base/{name}/row" and each.attribute[0].name != "axis"
    ]
    return {each.name: each for each in node.attribute}


def spoiled(folder, path, change):
    model = onnx.load(path)
    change(model)
    onnx.save(model, folder / "spoiled.onnx")
    return folder / "spoiled.onnx"


@pytest.mark.parametrize("meta", ["logistic", "gbm", "mlp"])
def test_a_true_graph_passes_on_every_kind_of_rows(tmp_path, meta):
    files, path = composed.composed(tmp_path, meta=meta)
    job = composed.verify_job(tmp_path, files, path)
    verify_onnx.main(job)
    found = read_json(job.output.parity)
    assert found["schema"] == "quantmake/parity/1" and found["tolerance"] == 1e-6 and found["features"] == 20
    assert found["tried"]["real"]["rows"] == 4000
    assert found["tried"]["threshold"]["rows"] >= 5000 and found["thresholds"] > 500
    assert found["tried"]["missing"]["rows"] == 20 * 10 * 2 + 1
    assert all(0 < each["max_difference"] <= 1e-6 for each in found["tried"].values())
    first = Path(job.output.parity).read_bytes()
    verify_onnx.main(job)
    assert Path(job.output.parity).read_bytes() == first

    times = read_json(job.output.latency)
    for size in ("1", "256"):
        assert times["batch"][size]["repetitions"] == 20
        for name in ("onnx", "native"):
            assert 0 < times["batch"][size][name]["p50_ms"] <= times["batch"][size][name]["p95_ms"]


@pytest.mark.parametrize("model", ["lgb", "xgb"])
@pytest.mark.parametrize("upwards", [True, False])
def test_one_threshold_one_float32_step_away_is_found(tmp_path, stack, model, upwards):
    files, path = stack

    def move(graph):
        values = trees(graph, model)["nodes_values"].floats
        values[0] = float(np.nextafter(np.float32(values[0]), np.float32(np.inf if upwards else -np.inf)))

    job = composed.verify_job(tmp_path, files, spoiled(tmp_path, path, move))
    # XGBoost's thresholds are values of real rows, LightGBM's lie between them
    says = r"1 of 4000 real rows|threshold rows" if model == "xgb" else r"threshold rows.*f\d = .*of model 'lgb'"
    with pytest.raises(StudyError, match=says):
        verify_onnx.main(job)
    assert not Path(job.output.parity).exists() and not Path(job.output.latency).exists()


def test_the_usual_conversion_of_lightgbm_thresholds_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(
        lightgbm, "float32_threshold", lambda threshold: struct.unpack("f", struct.pack("f", threshold))[0]
    )
    files, path = composed.composed(tmp_path)
    with pytest.raises(StudyError, match="differs from the native stack on .* of 4000 real rows"):
        verify_onnx.main(composed.verify_job(tmp_path, files, path))


def test_a_missing_value_sent_the_other_way_is_found(tmp_path, stack):
    files, path = stack

    def turn(graph):
        # f8 misses no value in real rows
        own = trees(graph, "xgb")
        tracks, column = own["nodes_missing_value_tracks_true"].ints, own["nodes_featureids"].ints
        for place, feature in enumerate(column):
            tracks[place] = 1 - tracks[place] if feature == 8 else tracks[place]

    with pytest.raises(StudyError, match="missing rows.*missing"):
        verify_onnx.main(composed.verify_job(tmp_path, files, spoiled(tmp_path, path, turn)))


def test_a_wrong_leaf_is_found(tmp_path, stack):
    files, path = stack

    def add(graph):
        weights = trees(graph, "cross")["target_weights"].floats
        weights[0] += 1e-4

    with pytest.raises(StudyError, match="instead of"):
        verify_onnx.main(composed.verify_job(tmp_path, files, spoiled(tmp_path, path, add)))


def test_fewer_rows_are_a_sample_of_each_kind(tmp_path, stack):
    files, path = stack
    job = composed.verify_job(tmp_path, files, path, rows=600)
    verify_onnx.main(job)
    tried = read_json(job.output.parity)["tried"]
    assert tried["real"]["rows"] == 600 and 300 < tried["threshold"]["rows"] <= 600


def test_threshold_rows_reach_the_split_they_are_made_for(stack):
    """Walked down by hand, nearly every row passes a split at which it lies on the threshold or beside it."""
    model = onnx.load(stack[1])
    features = json.loads(model.metadata_props[0].value)
    table = composed.table()
    x = np.column_stack([table.x[:, int(name[1])] for name in features])
    splits = graphs.splits(model)
    trial = parity.on_thresholds(x, features, splits, 3000, np.random.default_rng(0))
    assert len(trial.x) > 2500
    met = np.zeros(len(trial.x), dtype=bool)
    for each in splits:
        for entry, rows in parity.reaching(each, trial.x):
            value, threshold = trial.x[rows, each.column[entry]], each.threshold[entry]
            steps = [np.nextafter(threshold, np.float32(side)) for side in (-np.inf, np.inf)]
            met[rows] |= np.isin(value, [threshold, *steps])
    assert met.mean() > 0.99


def test_an_answer_that_is_no_number_is_a_difference():
    trial = parity.Trial("real", np.zeros((2, 1), dtype=np.float32), ["first", "second"])
    with pytest.raises(StudyError, match="1 of 2 real rows.*second"):
        parity.difference(trial, lambda x: np.array([0.5, 0.5]), lambda x: np.array([0.5, np.nan]), 1e-6)


def test_a_stack_without_trees_has_no_thresholds():
    trial = parity.on_thresholds(np.zeros((5, 2), dtype=np.float32), ["a", "b"], [], 100, np.random.default_rng(0))
    assert trial.x.shape == (0, 2) and parity.difference(trial, None, None, 1e-6) == 0
