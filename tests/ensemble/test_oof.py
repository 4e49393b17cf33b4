import numpy as np
import pandas as pd
import pytest

from scripts.common.atomic import write_json
from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.ensemble import assemble_oof
from tests.ensemble import builders

BLOCKS = ["b000", "b001"]


def frame(table, places, fold, p):
    return pd.DataFrame({"timestamp": builders.stamps(table.timestamp[places]), "fold": np.int32(fold), "p": p})


def index(model, *blocks):
    folds = [{"fold": fold, "rows": {"test": count}} for fold, count in blocks]
    return {"model": model, "features": [], "folds": folds}


@pytest.fixture
def job(tmp_path):
    """Two models in two blocks of two folds; of fold 3 the second model misses ten rows."""
    table = builders.rows(1000, features=3)
    features, labels = builders.write_market(tmp_path, table)
    rng, paths, indexes = np.random.default_rng(0), [], []
    for model in ("lgb", "xgb"):
        for block, name in enumerate(BLOCKS):
            parts, entries = [], []
            for fold in (2 * block, 2 * block + 1):
                count = 90 if (model, fold) == ("xgb", 3) else 100
                places = np.arange(500 + 100 * fold, 500 + 100 * fold + count)
                parts.append(frame(table, places, fold, rng.random(count)))
                entries.append((fold, count))
            folder = tmp_path / model
            folder.mkdir(exist_ok=True)
            paths.append(str(folder / f"{name}.parquet"))
            pd.concat(parts).to_parquet(paths[-1], index=False)
            indexes.append(str(folder / f"{name}.index.json"))
            write_json(indexes[-1], index(model, *entries))
    return Job(
        input={"oof": paths, "indexes": indexes, "labels": labels, "extras": [*features, *features]},
        output=[str(tmp_path / "oof.parquet")],
        params={
            "models": ["lgb", "xgb"],
            "blocks": BLOCKS,
            "extra": ["f1", "f2"],
            "extra_sets": ["technical"] * 2,
            "extra_columns": ["f1", "f2"],
        },
    )


def test_rows_that_all_models_predicted_are_joined_with_labels_and_extras(job):
    assemble_oof.main(job)
    oof, table = pd.read_parquet(job.output[0]), builders.rows(1000, features=3)
    assert list(oof.columns) == ["timestamp", "fold", "y", "t1", "forward_return", "p_lgb", "p_xgb", "f1", "f2"]
    assert list(oof["timestamp"]) == list(builders.stamps(table.timestamp[500:890]))
    np.testing.assert_array_equal(oof["fold"], np.repeat([0, 1, 2, 3], [100, 100, 100, 90]))
    np.testing.assert_array_equal(oof["y"], table.y[500:890])
    np.testing.assert_array_equal(oof["f2"], table.x[500:890, 2])
    assert list(oof["t1"]) == list(builders.stamps(table.t1[500:890]))
    lgb = pd.concat([pd.read_parquet(path) for path in job.input.oof[:2]])
    np.testing.assert_array_equal(oof["p_lgb"], lgb["p"][:390])
    assert oof["fold"].dtype == np.int32 and oof["y"].dtype == np.int8


def edit(path, change):
    table = pd.read_parquet(path)
    change(table).to_parquet(path, index=False)


def test_a_block_that_is_not_what_its_index_says_is_refused(job):
    edit(job.input.oof[1], lambda table: table[:-1])
    with pytest.raises(StudyError, match=r"lgb/b001.parquet: fold 3 has 99 rows, its index says 100"):
        assemble_oof.main(job)


def test_a_prediction_that_is_no_probability_is_refused(job):
    edit(job.input.oof[2], lambda table: table.assign(p=table["p"].where(table.index != 5)))
    with pytest.raises(StudyError, match="1 predictions are no probabilities"):
        assemble_oof.main(job)


def test_a_block_of_another_model_is_refused(job):
    job.input["indexes"][0] = job.input.indexes[2]
    with pytest.raises(StudyError, match="belongs to model 'xgb', not 'lgb'"):
        assemble_oof.main(job)


def test_a_bar_that_is_predicted_twice_is_refused(job):
    edit(job.input.oof[1], lambda table: table.assign(timestamp=table["timestamp"] - pd.Timedelta("1h")))
    with pytest.raises(StudyError, match="'lgb' predicts 2021-01-30 03:00:00.* in more than one fold"):
        assemble_oof.main(job)


def test_models_with_other_folds_are_refused(job):
    edit(job.input.oof[0], lambda table: table.assign(fold=(1 - table["fold"]).astype("int32")))
    with pytest.raises(StudyError, match="into different folds"):
        assemble_oof.main(job)


def test_a_predicted_bar_without_a_label_or_an_extra_is_refused(job):
    edit(job.input.extras[0], lambda table: table[table["timestamp"] != table["timestamp"][600]])
    with pytest.raises(StudyError, match="feature f1 has no row for 1 out-of-fold bars"):
        assemble_oof.main(job)
    edit(job.input.labels[0], lambda table: table.drop(index=600))
    with pytest.raises(StudyError, match="1 predicted bars have no label"):
        assemble_oof.main(job)
