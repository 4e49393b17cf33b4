"""Both boosters: the same trees by every road, and an ONNX graph that takes every branch as they do."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from scripts.common.errors import StudyError
from scripts.ensemble import models
from tests.ensemble import builders

KINDS = ["lightgbm", "xgboost"]
NAMES = [f"feature_{i}" for i in range(10)]
TRAIN, VALIDATION = np.arange(1500), np.arange(1505, 2000)


def block(seed=0, n=3000):
    x = builders.awkward_features(n, seed)
    rng = np.random.default_rng(seed + 1)
    hint = (x[:, 0] - x[:, 0].mean()) / x[:, 0].std() + x[:, 8] + np.nan_to_num(x[:, 2]) + 0.3 * (x[:, 5] > 11)
    return x, (hint + 2 * rng.normal(size=n) > 0).astype(np.int8)


def train(kind, x, y, *, reference=TRAIN, rows=TRAIN, validation=VALIDATION, threads=1, rounds=None, seed=7, **changed):
    module, settings = models.load(kind), builders.SETTINGS[kind] | changed
    data = module.prepare(x, y, NAMES, reference, settings, threads, seed)
    return module.fit(data, rows, validation, settings, rounds)


def saved(model, folder, kind):
    path = Path(folder) / f"model.{models.load(kind).EXTENSION}"
    model.save(path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", KINDS)
def test_early_stopping_keeps_the_best_round_and_its_auc(kind):
    from sklearn.metrics import roc_auc_score

    x, y = block()
    model = train(kind, x, y, rounds=300)
    assert 1 <= model.rounds < 290
    assert model.early_stopping_auc == pytest.approx(
        roc_auc_score(y[VALIDATION], model.predict(x, VALIDATION)), abs=1e-6
    )
    p = model.predict(x)
    assert p.dtype == np.float64 and p.shape == (3000,) and 0 < p.min() < p.max() < 1
    assert model.gain.shape == (10,) and model.gain[0] > model.gain[9] >= 0
    assert roc_auc_score(y[2000:], p[2000:]) > 0.6
    assert len(model.predict(x, np.arange(0))) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_without_validation_the_rounds_are_fixed(kind):
    x, y = block()
    model = train(kind, x, y, validation=VALIDATION[:0], rounds=17)
    assert (model.rounds, model.early_stopping_auc) == (17, None)
    assert train(kind, x, y, validation=VALIDATION[:0]).rounds == 60


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("validation", [VALIDATION, VALIDATION[:0]])
def test_a_saved_model_predicts_the_same(kind, validation, tmp_path):
    x, y = block()
    model = train(kind, x, y, validation=validation)
    path, digest = saved(model, tmp_path, kind)
    again = models.load(kind).read(path, digest)
    assert np.array_equal(again.predict(x), model.predict(x))
    assert again.rounds == model.rounds
    np.testing.assert_allclose(again.gain, model.gain, rtol=1e-5)
    copy, copied = saved(train(kind, x, y, validation=validation), tmp_path / "..", kind)
    assert copied == digest  # trained twice: the same bytes


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_was_cut_short_is_refused_before_it_is_parsed(kind, tmp_path):
    x, y = block()
    path, digest = saved(train(kind, x, y), tmp_path, kind)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(StudyError, match="cut short"):
        models.load(kind).read(path, digest)


@pytest.mark.parametrize("kind", KINDS)
def test_threads_do_not_change_the_trees(kind):
    x, y = block()
    assert np.array_equal(train(kind, x, y, threads=1).predict(x), train(kind, x, y, threads=2).predict(x))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_after_a_folds_windows_reaches_its_model(kind):
    x, y = block()
    changed_x, changed_y = x.copy(), y.copy()
    changed_x[2000:] = changed_x[2000:][::-1]
    changed_y[2000:] = 1 - changed_y[2000:]
    assert np.array_equal(train(kind, x, y).predict(x), train(kind, changed_x, changed_y).predict(x))


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_matters_and_repeats(kind):
    x, y = block()
    one, same, other = (train(kind, x, y, seed=seed).predict(x) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_a_slice_of_the_blocks_bins_gives_the_trees_of_a_dataset_of_its_own():
    import lightgbm

    x, y = block()
    settings = builders.LIGHTGBM
    parameters = {key: value for key, value in settings.items() if key not in ("rounds", "patience")} | {
        "objective": "binary",
        "metric": "auc",
        "num_threads": 1,
        "seed": 7,
        "deterministic": True,
        "force_row_wise": True,
        "feature_pre_filter": False,
        "verbosity": -1,
    }
    later = np.arange(400, 1900)
    for rows, reference in ((TRAIN, None), (later, lightgbm.Dataset(x[TRAIN], y[TRAIN], params=parameters))):
        own = lightgbm.Dataset(x[rows], y[rows], reference=reference, params=parameters)
        naive = lightgbm.train(parameters, own, settings["rounds"])
        ours = train("lightgbm", x, y, rows=rows, validation=VALIDATION[:0])
        assert np.array_equal(ours.predict(x), naive.predict(x, num_threads=1))


def test_a_slice_of_the_blocks_matrix_gives_the_trees_of_a_matrix_of_its_own():
    import xgboost

    x, y = block()
    settings = builders.XGBOOST
    parameters = {key: value for key, value in settings.items() if key not in ("rounds", "patience")}
    parameters |= {"objective": "binary:logistic", "tree_method": "hist", "nthread": 1, "seed": 7}
    rows = np.arange(400, 1900)
    naive = xgboost.train(parameters, xgboost.DMatrix(x[rows], y[rows]), settings["rounds"])
    ours = train("xgboost", x, y, rows=rows, validation=VALIDATION[:0])
    # the same trees; XGBoost's own probabilities are rounded to float32
    assert [tree.replace("feature_", "f") for tree in ours.booster.get_dump()] == naive.get_dump()
    assert np.allclose(ours.predict(x), naive.predict(xgboost.DMatrix(x)), rtol=0, atol=1e-6)


def attributes(graph):
    from onnx import helper

    return {each.name: helper.get_attribute_value(each) for each in graph.graph.node[0].attribute}


def threshold_rows(graph, x):
    """Rows with one value exactly on, just below and just above each threshold of the graph."""
    nodes, rng, edges = attributes(graph), np.random.default_rng(3), []
    for mode, column, value in zip(nodes["nodes_modes"], nodes["nodes_featureids"], nodes["nodes_values"], strict=True):
        if mode != b"LEAF":
            value = np.float32(value)
            with np.errstate(over="ignore"):
                near = [value, np.nextafter(value, np.float32(-np.inf)), np.nextafter(value, np.float32(np.inf))]
            for each in near:
                if np.isfinite(each):
                    edges.append(x[rng.integers(len(x))].copy())
                    edges[-1][column] = each
    return np.array(edges)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("validation", [VALIDATION, VALIDATION[:0]])
def test_the_onnx_graph_takes_every_branch_as_the_booster_does(kind, validation):
    import onnx
    import onnxruntime

    x, y = block()
    model = train(kind, x, y, validation=validation, rounds=300)
    graph = models.load(kind).to_onnx(model, NAMES)
    onnx.checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    holes, rng = x.copy(), np.random.default_rng(5)
    holes[rng.random(holes.shape) < 0.3] = np.nan  # also where training saw none
    zeros = np.where(rng.random(x.shape) < 0.5, np.float32(0), x * np.float32(1e-36))
    on_thresholds = threshold_rows(graph, x)
    assert len(on_thresholds) > 500
    for given in (x, holes, zeros, on_thresholds, np.full((1, 10), np.nan, np.float32)):
        (p,) = session.run(["probability"], {"row": given})
        assert p.shape == (len(given), 1) and p.dtype == np.float32
        assert np.abs(p[:, 0] - model.predict(given)).max() <= 1e-6


def test_without_the_float32_thresholds_prices_would_take_wrong_branches(monkeypatch):
    import onnxruntime

    from scripts.ensemble.models import lightgbm

    x, y = block()
    model = train("lightgbm", x, y)
    monkeypatch.setattr(lightgbm, "float32_threshold", lambda threshold: float(np.float32(min(threshold, 3e38))))
    session = onnxruntime.InferenceSession(lightgbm.to_onnx(model, NAMES).SerializeToString())
    (p,) = session.run(None, {"row": x})
    assert np.abs(p[:, 0] - model.predict(x)).max() > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_tells_its_features_and_opsets(kind):
    x, y = block()
    graph = models.load(kind).to_onnx(train(kind, x, y), NAMES)
    assert {each.domain: each.version for each in graph.opset_import} == {"": 18, "ai.onnx.ml": 3}
    assert [each.name for each in graph.graph.input] == ["row"]
    assert [each.name for each in graph.graph.output] == ["probability"]
    assert json.loads(graph.metadata_props[0].value) == NAMES


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_without_any_split_is_a_model(kind, tmp_path):
    import onnxruntime

    x, y = block()
    changed = {"min_data_in_leaf": 5000} if kind == "lightgbm" else {"min_child_weight": 1e6}
    model = train(kind, x, y, validation=VALIDATION[:0], rounds=5, **changed)
    assert len(np.unique(model.predict(x))) == 1 and model.gain.sum() == 0
    path, digest = saved(model, tmp_path, kind)
    again = models.load(kind).read(path, digest)
    session = onnxruntime.InferenceSession(models.load(kind).to_onnx(again, NAMES).SerializeToString())
    (p,) = session.run(None, {"row": x})
    assert np.abs(p[:, 0] - model.predict(x)).max() <= 1e-6


def test_planning_imports_nothing_heavy():
    import subprocess
    import sys

    code = (
        "import sys; from scripts.ensemble import models; "
        "print([models.load(kind).EXTENSION for kind in ('lightgbm', 'xgboost')], "
        "{'sklearn', 'lightgbm', 'xgboost', 'onnx', 'pandas'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "['txt', 'ubj'] set()"
