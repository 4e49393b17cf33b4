import copy
import hashlib
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from sklearn.metrics import roc_auc_score

from scripts.common.atomic import write_json
from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.common.results import read_json
from scripts.ensemble import export_onnx, fit_final, models
from tests.ensemble import builders

WINDOW = {"start": "2021-01-05T00:00:00Z", "end": "2021-02-10T00:00:00Z"}  # hours 96 to 960


def job_for(folder, table, kind, rounds=((9, 30), (12, 14))):
    features, labels = builders.write_market(folder / "market", table)
    indexes = []
    for number, each in enumerate(rounds):
        indexes.append(str(folder / f"b{number:03d}.index.json"))
        write_json(indexes[-1], {"folds": [{"rounds": count} for count in each]})
    extension = models.load(kind).EXTENSION
    return Job(
        input={"features": features, "labels": labels, "indexes": indexes},
        output={"model": str(folder / f"final/m.{extension}"), "card": str(folder / "final/m.json")},
        params={
            "kind": kind,
            "settings": builders.SETTINGS[kind],
            "sets": ["technical"],
            "panels": {},
            "window": WINDOW,
            "seed": 7,
        },
        wildcards={"model": "m", "ext": extension},
    )


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_the_final_model_has_the_median_of_the_folds_rounds_and_its_window(tmp_path, kind):
    table = builders.rows(1300)
    job = job_for(tmp_path, table, kind)
    fit_final.main(job)
    card = read_json(job.output.card)
    assert card["rounds"] == 13  # median of 9, 12, 14, 30
    assert card["rows"] == 960 - 96 - 5  # the last five labels end after the window
    assert (card["model"], card["kind"], card["window"], card["features"]) == ("m", kind, WINDOW, table.names)
    assert card["file"] == Path(job.output.model).name
    assert card["sha256"] == hashlib.sha256(Path(job.output.model).read_bytes()).hexdigest()
    p = models.load(kind).read(job.output.model, card["sha256"]).predict(table.x)
    assert roc_auc_score(table.y[960:], p[960:]) > 0.6


def test_rows_outside_the_window_do_not_reach_the_final_model(tmp_path):
    table = builders.rows(1300)
    changed = copy.deepcopy(table)
    outside = np.r_[0:96, 955:1300]  # 955 to 959: open labels
    changed.y[outside] = 1 - changed.y[outside]
    changed.x[outside] = -3
    digests = set()
    for name, each in (("one", table), ("two", changed)):
        job = job_for(tmp_path / name, each, "lightgbm")
        fit_final.main(job)
        digests.add(read_json(job.output.card)["sha256"])
    assert len(digests) == 1


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_the_exported_graph_predicts_what_the_model_does(tmp_path, kind):
    table = builders.rows(1300)
    job = job_for(tmp_path, table, kind)
    fit_final.main(job)
    export = Job(
        input={"model": job.output.model, "card": job.output.card},
        output=[str(tmp_path / "onnx/m.onnx")],
        params={"kind": kind},
    )
    export_onnx.main(export)
    first = Path(export.output[0]).read_bytes()
    (p,) = onnxruntime.InferenceSession(export.output[0]).run(None, {"row": table.x})
    model = models.load(kind).read(job.output.model, read_json(job.output.card)["sha256"])
    assert np.abs(p[:, 0] - model.predict(table.x)).max() <= 1e-6
    export_onnx.main(export)
    assert Path(export.output[0]).read_bytes() == first

    Path(job.output.model).write_bytes(Path(job.output.model).read_bytes()[:-200])
    with pytest.raises(StudyError, match="cut short"):
        export_onnx.main(export)
