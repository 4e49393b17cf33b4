"""The kinds of meta-models: what they learn, that JSON holds all of it, and that ONNX says the same."""

import json

import numpy as np
import pytest

from scripts.common.statistics.auc import auc
from scripts.ensemble import metas, scaling
from scripts.ensemble.metas import gbm
from tests.ensemble.stacks import BASES, METAS, inputs

KINDS = list(METAS)


def fit(kind, x, y, seed=7, probabilities=BASES, **changed):
    coefficients = metas.load(kind).fit(x, y, probabilities, METAS[kind] | changed, seed)
    return json.loads(json.dumps(coefficients, allow_nan=False))


def run_onnx(model, rows):
    import onnx
    import onnxruntime

    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (p,) = session.run(["probability"], {"inputs": rows.astype(np.float32)})
    assert p.dtype == np.float32 and p.shape == (len(rows), 1)
    return p[:, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_stack_is_better_than_its_best_input_and_calibrated(kind):
    x, y = inputs()
    later, truth = inputs(seed=1)
    p = metas.load(kind).predict(fit(kind, x, y), later)
    assert p.dtype == np.float64 and p.shape == (6000,) and 0 < p.min() < p.max() < 1
    assert auc(truth, p) > auc(truth, later[:, 0]) + 0.01
    assert abs(p.mean() - truth.mean()) < 0.03
    assert abs(truth[p > 0.6].mean() - p[p > 0.6].mean()) < 0.04


@pytest.mark.parametrize("kind", KINDS)
def test_fitted_twice_it_is_the_same(kind):
    x, y = inputs(2000)
    assert fit(kind, x, y) == fit(kind, x, y)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("extras", [True, False])
@pytest.mark.parametrize("margins", [False, True])
def test_the_onnx_graph_says_what_the_coefficients_say(kind, extras, margins):
    x, y = inputs()
    x = x if extras else x[:, :BASES]
    coefficients = fit(kind, x, y)
    awkward = inputs(3000, seed=2, spread=1.0)[0][:, : x.shape[1]]
    awkward[0], awkward[1, :BASES], awkward[2, :BASES] = np.nan, 1e-7, 1 - 1e-7
    awkward[3:20, -1] = [0, 1e9, -1e9, 1e-40, *np.linspace(-3, 3, 13)] if extras else 0.5
    expected = metas.load(kind).predict(coefficients, awkward)
    assert np.isfinite(expected).all()
    given = awkward.copy()
    if margins:
        given[:, :BASES] = np.log(awkward[:, :BASES] / (1 - awkward[:, :BASES]))
    names = [f"p_{i}" for i in range(BASES)] + ["extra"][: x.shape[1] - BASES]
    found = run_onnx(metas.load(kind).to_onnx(coefficients, names, margins), given)
    # probabilities next to 1 have lost their log-odds in float32
    exact = np.ones(len(x[:3000]), bool) if margins else (awkward[:, :BASES] < 0.99).all(axis=1)
    assert np.abs(found - expected)[exact].max() < (2e-7 if margins else 2e-6)
    usual = ((awkward[:, :BASES] > 0.3) & (awkward[:, :BASES] < 0.7)).all(axis=1)
    assert usual.sum() > 200 and np.abs(found - expected)[usual].max() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_a_difference_in_the_last_digits_of_a_base_prediction_stays_one(kind):
    x, y = inputs()
    coefficients, rng = fit(kind, x, y), np.random.default_rng(0)
    # also around all places where the trees split
    rows = np.repeat(x[:200], 50, axis=0)
    if kind == "gbm":
        scales = coefficients["scaling"]
        z = np.resize(coefficients["threshold"], len(rows)) + gbm.WIDTH / 2 * np.resize([-1, 0, 1], len(rows))
        rows[:, 0] = scaling.sigmoid(z / scales["inverse_deviation"][0] + scales["center"][0])
    moved = rows.copy()
    moved[:, :BASES] += 3e-8 * rng.choice([-1, 1], (len(rows), BASES))
    predict = metas.load(kind).predict
    assert np.abs(predict(coefficients, moved) - predict(coefficients, rows)).max() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_extra_counts_as_the_median_and_an_extreme_one_as_the_limit(kind):
    x, y = inputs()
    coefficients, predict = fit(kind, x, y), metas.load(kind).predict
    rows = np.tile(x[10], (5, 1))
    median, limit = np.nanquantile(x[:, -1], [0.5, 0.999])
    rows[:, -1] = [np.nan, median, 1e12, limit * 1.0001, limit * 0.9]
    p = predict(coefficients, rows)
    assert p[0] == p[1] and p[2] == p[3]
    assert p[3] != p[4] or kind == "gbm"


@pytest.mark.parametrize("kind", KINDS)
def test_a_useless_input_changes_nothing_and_breaks_nothing(kind):
    x, y = inputs(3000)
    without = metas.load(kind).predict(fit(kind, x, y), x)
    for useless in (np.nan, 0.3):
        wide = np.column_stack([x, np.full(len(x), useless)])
        coefficients = fit(kind, wide, y)
        p = metas.load(kind).predict(coefficients, wide)
        wide[:, -1] = 17
        assert np.array_equal(metas.load(kind).predict(coefficients, wide), p)
        assert np.corrcoef(p, without)[0, 1] > (0.9 if kind == "mlp" else 0.999)


def test_the_logistic_regression_is_scikit_learns():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = inputs()
    margins = np.log(x[:, :BASES] / (1 - x[:, :BASES]))
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, tol=1e-8)).fit(margins, y)
    p = metas.load("logistic").predict(fit("logistic", x[:, :BASES], y, C=0.01), x[:, :BASES])
    np.testing.assert_allclose(p, pipeline.predict_proba(margins)[:, 1], atol=1e-6)


def test_the_network_is_scikit_learns():
    from sklearn.neural_network import MLPClassifier

    x, y = inputs(2000)
    coefficients = fit("mlp", x, y, hidden=[5, 3], epochs=2000, alpha=0.001)
    z = scaling.apply(coefficients["scaling"], x)
    model = MLPClassifier((5, 3), alpha=2.0, max_iter=2000, solver="lbfgs", random_state=7).fit(z, y)
    np.testing.assert_allclose(metas.load("mlp").predict(coefficients, x), model.predict_proba(z)[:, 1], atol=1e-12)


def test_away_from_its_splits_the_boosting_is_lightgbms(monkeypatch):
    import lightgbm

    trained = []
    train = lightgbm.train
    monkeypatch.setattr(lightgbm, "train", lambda *given: trained.append(train(*given)) or trained[0])
    x, y = inputs()
    coefficients = fit("gbm", x, y, rounds=10)
    z = scaling.apply(coefficients["scaling"], x)
    distance = np.abs(z[:, coefficients["feature"]] - coefficients["threshold"]).min(axis=1)
    away = distance > gbm.WIDTH / 2
    assert away.sum() > 300
    hard, soft = trained[0].predict(z), gbm.predict(coefficients, x)
    np.testing.assert_allclose(soft[away], hard[away], atol=1e-12)
    assert not np.allclose(soft, hard, atol=1e-6) and np.corrcoef(soft, hard)[0, 1] > 0.98


def test_without_any_split_the_boosting_is_the_base_rate():
    x, y = inputs(300)
    coefficients = fit("gbm", x, y, min_data_in_leaf=200)
    p = gbm.predict(coefficients, x)
    assert p == pytest.approx(np.full(300, y.mean()), abs=1e-6)
    found = run_onnx(gbm.to_onnx(coefficients, ["p_0", "p_1", "p_2", "extra"]), x)
    assert found == pytest.approx(p, abs=1e-6)
