import pandas as pd
import pytest

from scripts.common.atomic import write_json
from scripts.common.job import Job
from scripts.ensemble import measure_importance


def test_shares_of_gain_are_averaged_over_all_folds_of_a_model(tmp_path):
    contents = {
        "lgb0": [[3.0, 1.0, 0.0], [0.0, 0.0, 8.0]],
        "lgb1": [[0.0, 0.0, 0.0]],  # a fold without any split
        "xgb0": [[1.0, 1.0, 2.0]],
        "xgb1": [[1.0, 3.0, 0.0]],
    }
    for name, gains in contents.items():
        index = {"features": ["a", "b", "c"], "folds": [{"gain": gain} for gain in gains]}
        write_json(tmp_path / f"{name}.json", index)
    job = Job(
        input={"indexes": [str(tmp_path / f"{name}.json") for name in contents]},
        output=[str(tmp_path / "importance.parquet")],
        params={"models": ["lgb", "xgb"], "blocks": ["b000", "b001"]},
    )
    measure_importance.main(job)
    table = pd.read_parquet(job.output[0])
    assert list(table.columns) == ["model", "feature", "gain_share_mean", "gain_share_sd", "folds"]
    lgb = table[table["model"] == "lgb"]
    assert list(lgb["feature"]) == ["c", "a", "b"]
    assert list(lgb["gain_share_mean"]) == pytest.approx([1 / 3, 0.25, 1 / 12])
    assert lgb["gain_share_sd"].iloc[0] == pytest.approx(pd.Series([0, 1, 0]).std())
    assert set(lgb["folds"]) == {3}
    xgb = table[table["model"] == "xgb"].set_index("feature")
    assert xgb["gain_share_mean"].to_dict() == {"a": 0.25, "b": 0.5, "c": 0.25}
