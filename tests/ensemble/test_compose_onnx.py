"""The job that makes one graph of a stack of real models."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from scripts.common.atomic import write_json
from scripts.common.errors import StudyError
from scripts.common.results import read_json
from scripts.ensemble import compose_onnx, metas, models
from tests.ensemble import composed


def native(files, path, rows):
    """The stack written down anew, model by model."""
    features = json.loads(onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map["features"])
    column = dict(zip(features, rows.T, strict=True))
    meta = read_json(files["meta"])
    inputs = []
    for name in meta["models"]:
        place = list(composed.MODELS).index(name)
        model = models.load(composed.MODELS[name]).read(
            files["models"][place], read_json(files["cards"][place])["sha256"]
        )
        inputs.append(model.predict(np.column_stack([column[each] for each in composed.own_features(name)])))
    inputs += [column[each] for each in meta["extra"]]
    return metas.load(meta["kind"]).predict(meta["coefficients"], np.column_stack(inputs).astype(float))


@pytest.mark.parametrize(
    "meta, kept, extra",
    [
        ("logistic", ("lgb", "xgb", "cross"), ["f9_cross"]),
        ("gbm", ("cross", "xgb"), ["f2", "f0_cross"]),
        ("mlp", ("xgb",), []),
    ],
)
def test_one_graph_says_what_the_models_and_the_meta_model_say(tmp_path, meta, kept, extra):
    files, path = composed.composed(tmp_path, meta=meta, kept=kept, extra=extra)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert {each.domain: each.version for each in model.opset_import} == {"": 18, "ai.onnx.ml": 3}
    assert model.ir_version == 10
    session = onnxruntime.InferenceSession(path)
    features = json.loads(session.get_modelmeta().custom_metadata_map["features"])
    first = composed.own_features(kept[0])
    assert features[: len(first)] == first and set(extra) <= set(features)
    assert len(features) == len(set(features)) == (10 if kept == ("xgb",) else 20)
    (given,), (result,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == ("row", "tensor(float)", ["n", len(features)])
    assert (result.name, result.type, result.shape) == ("probability", "tensor(float)", ["n", 1])

    rng = np.random.default_rng(3)
    x = composed.table(500, seed=9).x
    rows = np.column_stack([x[rng.permutation(500), int(name[1])] for name in features])
    rows[rng.random(rows.shape) < 0.05] = np.nan
    (p,) = session.run(["probability"], {"row": rows})
    assert p.std() > 0.02 and np.abs(p[:, 0] - native(files, path, rows)).max() <= 1e-6


def test_composed_twice_it_has_the_same_bytes(tmp_path):
    files, path = composed.composed(tmp_path)
    first = Path(path).read_bytes()
    compose_onnx.main(composed.compose_job(tmp_path, files))
    assert Path(path).read_bytes() == first


def test_a_graph_of_another_model_is_refused_and_nothing_is_written(tmp_path):
    files = composed.write_stack(tmp_path)
    card = read_json(files["cards"][2])
    write_json(files["cards"][2], card | {"features": card["features"][::-1]})
    job = composed.compose_job(tmp_path, files)
    with pytest.raises(StudyError, match="model 'cross' was not made for the features in its card"):
        compose_onnx.main(job)
    assert not Path(job.output[0]).exists()
