"""The hold-out as a job, with real boosters and feature files."""

import numpy as np
import pandas as pd
import pytest

from scripts.common.atomic import write_json
from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.common.results import read_json
from scripts.ensemble import fit_final, metas, models, score_holdout
from tests.ensemble import builders, stacks

WINDOW = {"start": "2021-01-01T00:00:00Z", "end": "2021-03-01T00:00:00Z"}
HOLDOUT = {"start": "2021-03-01T00:00:00Z", "end": "2021-04-01T00:00:00Z"}
KINDS = {"lgb": "lightgbm", "xgb": "xgboost", "cross": "lightgbm"}
SETS = {"lgb": ["technical"], "xgb": ["other"], "cross": ["other", "technical"]}


def study(folder):
    """Three final models on two months, the meta-model, and the job that scores the third month."""
    table = builders.rows(24 * 90)
    features, labels = builders.write_market(folder / "market", table, sets=("technical", "other"))
    for file in features[3:]:  # the same names in both sets would be the same values
        frame = pd.read_parquet(file)
        frame[frame.columns[1:]] *= -1
        frame.to_parquet(file, index=False)
    final, months = {"models": [], "cards": []}, slice(0, 2)
    for name, kind in KINDS.items():
        files = [file for each in SETS[name] for file in features if f"/{each}/" in file and "2021-03" not in file]
        index = str(folder / f"{name}.index.json")
        write_json(index, {"folds": [{"rounds": 20}]})
        output = {"model": str(folder / f"{name}.{models.load(kind).EXTENSION}"), "card": str(folder / f"{name}.json")}
        params = {"kind": kind, "settings": builders.SETTINGS[kind], "sets": SETS[name], "panels": {}, "window": WINDOW}
        given = {"features": files, "labels": labels[months], "indexes": [index]}
        fit_final.main(Job(input=given, output=output, params=params | {"seed": 7}, wildcards={"model": name}))
        final["models"].append(output["model"])
        final["cards"].append(output["card"])
    x, y = stacks.inputs()
    meta = {"kind": "logistic", "models": ["lgb", "cross"], "extra": ["f3"]}
    meta["coefficients"] = metas.load("logistic").fit(x[:, [0, 1, 3]], y, 2, stacks.METAS["logistic"], 7)
    write_json(folder / "meta.json", meta)
    march = [file for file in features if "2021-03" in file]
    return table, Job(
        input={"features": march, "labels": labels[2:], "meta": str(folder / "meta.json")} | final,
        output=[str(folder / "test.parquet")],
        params={
            "models": list(KINDS),
            "kinds": list(KINDS.values()),
            "sets": list(SETS.values()),
            "panels": {},
            "window": HOLDOUT,
            "extra": ["f3"],
        },
    )


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("holdout")
    table, job = study(folder)
    score_holdout.main(job)
    return table, job, pd.read_parquet(job.output[0]), folder


def test_the_rows_are_those_of_the_hold_out(scored):
    table, _, frame, _ = scored
    names = ["timestamp", "y", "t1", "forward_return", "p_lgb", "p_xgb", "p_cross", "f3", "p_stack"]
    assert list(frame.columns) == names
    rows = slice(24 * 59, 24 * 90)  # 31 days of March; the labels of its last five hours end in April
    assert frame["timestamp"].iloc[0] == pd.Timestamp("2021-03-01", tz="UTC")
    assert len(frame) == 31 * 24 - 5
    assert np.array_equal(frame["y"], table.y[rows][:-5]) and np.array_equal(frame["f3"], table.x[rows, 3][:-5])


def test_each_model_reads_its_own_features_and_the_stack_its_inputs(scored):
    table, job, frame, _ = scored
    rows = np.arange(24 * 59, 24 * 90 - 5)
    own = {"lgb": table.x, "xgb": -table.x, "cross": np.hstack([-table.x, table.x])}
    for name, kind, path, card in zip(KINDS, KINDS.values(), job.input.models, job.input.cards, strict=True):
        model = models.load(kind).read(path, read_json(card)["sha256"])
        np.testing.assert_array_equal(frame[f"p_{name}"], model.predict(own[name], rows))
    meta = read_json(job.input.meta)
    x = frame[["p_lgb", "p_cross", "f3"]].to_numpy(dtype=float)
    np.testing.assert_array_equal(frame["p_stack"], metas.load("logistic").predict(meta["coefficients"], x))
    from scripts.common.statistics.auc import auc

    assert auc(frame["y"], frame["p_lgb"]) > 0.6


def test_an_altered_model_is_refused(scored):
    _, job, _, folder = scored
    path = folder / "lgb.txt"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    try:
        with pytest.raises(StudyError, match="cut short"):
            score_holdout.main(job)
    finally:
        path.write_bytes(whole)


def test_an_empty_hold_out_is_explained(scored):
    _, job, _, _ = scored
    window = {"start": "2021-03-31T20:00:00Z", "end": "2021-04-01T00:00:00Z"}
    params = dict(job.params.items()) | {"window": window}
    with pytest.raises(StudyError, match="no labelled bar"):
        score_holdout.main(Job(input=dict(job.input.items()), output=[job.output[0]], params=params))
