import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scripts.common.job import Job
from scripts.common.results import read_json
from scripts.ensemble import measure_diversity


@pytest.fixture
def oof():
    """Three models that say the same, in order of skill b, a, c; one of its own; one that says nothing."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 4000)
    common = y + 3 * rng.normal(size=4000)

    def squash(z):
        return 1 / (1 + np.exp(-z))

    return pd.DataFrame(
        {
            "timestamp": pd.date_range("2021", periods=4000, freq="h", tz="UTC"),
            "y": y,
            "p_a": squash(common + 0.2 * rng.normal(size=4000)),
            "p_b": squash(common) ** 3,  # another scale, the same ranks
            "p_c": squash(common + 0.4 * rng.normal(size=4000)),
            "p_own": squash(0.2 * y + rng.normal(size=4000)),
            "p_constant": 0.51,
            "hvol_20": common,
        }
    )


def measured(oof, folder, **changed):
    oof.to_parquet(folder / "oof.parquet")
    job = Job(
        input={"oof": str(folder / "oof.parquet")},
        output=[str(folder / "diversity.json")],
        params={"max_correlation": 0.98, "prune": True} | changed,
    )
    measure_diversity.main(job)
    return read_json(job.output[0])


def test_correlations_are_those_of_scipy(oof, tmp_path):
    found = measured(oof, tmp_path)
    assert found["models"] == ["a", "b", "c", "own", "constant"]
    for one in "abc":
        for two in ("a", "b", "c", "own"):
            assert found["pearson"][one][two] == pytest.approx(stats.pearsonr(oof[f"p_{one}"], oof[f"p_{two}"])[0])
            assert found["spearman"][one][two] == pytest.approx(stats.spearmanr(oof[f"p_{one}"], oof[f"p_{two}"])[0])
    assert found["spearman"]["a"]["constant"] is None


def test_of_models_that_say_the_same_the_best_is_kept(oof, tmp_path):
    found = measured(oof, tmp_path)
    assert [each["models"] for each in found["redundant"]] == [["a", "b"], ["a", "c"], ["b", "c"]]
    best = max("abc", key=lambda name: found["pooled_auc"][name])
    assert found["kept"] == [best, "own", "constant"]
    assert sorted(each["model"] for each in found["pruned"]) == sorted(set("abc") - {best})
    for each in found["pruned"]:
        assert each["because_of"] == best
        assert each["reason"].startswith("rank correlation 0.9") and f"with {best} exceeds 0.98" in each["reason"]


def test_without_prune_everything_is_kept_and_the_advice_given(oof, tmp_path):
    found = measured(oof, tmp_path, prune=False)
    assert found["kept"] == found["models"] and found["pruned"] == []
    assert len(found["advice"]) == 2


def test_a_model_that_is_alike_to_a_dropped_one_only_stays(tmp_path):
    rng = np.random.default_rng(1)
    y, u, v = rng.integers(0, 2, 4000), rng.normal(size=4000), rng.normal(size=4000)
    # a chain: best - middle - last, neighbours alike, ends not
    oof = pd.DataFrame({"y": y, "p_middle": 0.05 * y + 0.2 * (u + 0.35 * v)})
    oof["p_best"], oof["p_last"] = oof["p_middle"] + 0.1 * y + 0.06 * v, oof["p_middle"] - 0.06 * v - 0.03 * y
    found = measured(oof, tmp_path, max_correlation=0.93)
    assert found["spearman"]["best"]["middle"] > 0.93 and found["spearman"]["middle"]["last"] > 0.93
    assert found["spearman"]["best"]["last"] < 0.93
    assert found["kept"] == ["best", "last"]


def test_one_model_alone_is_kept(oof, tmp_path):
    found = measured(oof[["y", "p_a"]], tmp_path)
    assert found["kept"] == ["a"] and found["redundant"] == []
