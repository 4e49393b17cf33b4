"""The impact of an edit: a table of edits with exactly the jobs that each must rerun (docs/rebuilds.md).

The table stands in ensemble_edits.py, corpus_edits.py and llm_edits.py, one per study of tests/tiny.py. What is
expected there was derived from who reads what, by hand; a missing job and a superfluous one both fail. That nothing is
missed shows in the files too: a study that was rebuilt edit by edit against the same study built at once.
"""

import copy
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests import planning
from tests.plan import corpus_edits, ensemble_edits, llm_edits
from tests.plan.edits import difference, key, lost, text, together
from tests.tiny import STUDY, TALK, bars, contents, jobs_run, make_checkout, snakemake, write_bars, write_csv

TABLES = {"built": ensemble_edits.EDITS, "talked": corpus_edits.EDITS, "chatted": llm_edits.EDITS}
TABLE = [(study, edit) for study, edits in TABLES.items() for edit in edits]
FOUND = {}


@pytest.mark.parametrize(("study", "edit"), TABLE, ids=[f"{study}-{edit.name}" for study, edit in TABLE])
def test_an_edit_reruns_exactly_what_it_touches(study, edit, request, tmp_path):
    folder = Path(shutil.copytree(request.getfixturevalue(study), tmp_path / "checkout", symlinks=True))
    FOUND[study, edit.name] = set(edit.reruns), (found := edit.rerun(folder))
    assert not (wrong := difference(edit.reruns, found)), f"{edit.name}: {wrong}"


def test_the_table_names_every_edit_once_and_has_enough_of_them():
    assert len({(study, edit.name) for study, edit in TABLE}) == len(TABLE) >= 60
    quiet = [edit for _, edit in TABLE if not edit.reruns]
    assert 30 <= len(quiet) <= len(TABLE) / 2


def test_precision_and_recall_over_the_table():
    """Of the edits that were planned in this run, all of them where the whole file was run."""
    expected = sum(len(jobs) for jobs, _ in FOUND.values())
    found = sum(len(jobs) for _, jobs in FOUND.values())
    both = sum(len(jobs & planned) for jobs, planned in FOUND.values())
    precision, recall = (both / total if total else 1.0 for total in (found, expected))
    print(f"{len(FOUND)} edits, {found} jobs planned: precision {precision:.2%}, recall {recall:.2%}")
    assert (precision, recall) == (1.0, 1.0)


# The truth: small enough to be built from nothing twice.


def small_study():
    """Two symbols and four months; a stack of two models and a corpus of two parts."""
    study = copy.deepcopy(STUDY)
    study["markets"]["made"]["symbols"] = ["AAA", "BBB"]
    ensemble = study["ensembles"]["up"]
    ensemble |= {"peers": ["BBB"], "timeframes": {"1h": {}}, "gates": {"min_rows_to_stack": 500}}
    ensemble["folds"] = {"train": 600, "validation": 100, "test": 200, "step": 200, "per_job": 5, "holdout": 0.25}
    ensemble["models"] = {"xgb": ensemble["models"]["xgb"], "cross": ensemble["models"]["cross"]}
    parts = TALK["corpora"]["trading"]["parts"]
    trading = {"market": "made", "symbols": ["AAA"], "parts": {each: parts[each] for each in ("candles", "states")}}
    return study | {"corpora": {"trading": trading}}


def bars_until(month):
    """Both symbols' bars end with ``month``."""

    def change(folder):
        for symbol in ("AAA", "BBB"):
            write_bars(folder, symbol, pd.period_range("2021-01", month, freq="M"))

    return change


def corrected_peer(folder):
    """A bar of BBB at the end of March has another volume."""
    frame = bars("BBB", pd.period_range("2021-01", "2021-05", freq="M"))
    frame.loc[frame["timestamp"].dt.strftime("%Y-%m-%d %H") == "2021-03-30 12", "volume"] *= 1.5
    write_csv(folder, "BBB", frame)


# Runs of edits, each with a job that it must rerun; later ones remake little of what earlier ones should have made.
RUNS = [
    {"label_bars up 2021-05 AAA 1h": bars_until("2021-05")},
    {
        "train_folds b000 up xgb AAA 1h": key("ensembles.up.models.xgb.max_depth", 2),
        "compute_panel cross_asset made 2021-04 1h": corrected_peer,
        "write_part trading candles": text("resources/templates/formulas.yaml", "What is {name}?", "What's {name}?"),
    },
    {
        "compute_panel cross_asset made 2021-05 1h": text(
            "scripts/market/features/cross_asset.py", '(returns["ret_1"], 24)', '(returns["ret_1"], 20)'
        ),
        "compute_features technical made 2021-02 AAA 1h": lost("market/made/features/technical/1h/AAA/2021-02.parquet"),
        "gate_ensemble up AAA 1h": key("ensembles.up.gates.min_auc", 0.6),
    },
]


def test_a_study_rebuilt_edit_by_edit_is_the_study_built_at_once(tmp_path):
    """Every artifact, byte for byte: what a plan leaves out would differ."""
    folder = make_checkout(tmp_path / "edited", small_study())
    bars_until("2021-04")(folder)
    snakemake(folder)
    first = contents(folder)
    for edits in RUNS:
        together(*edits.values())(folder)
        assert set(edits) <= set(jobs_run(snakemake(folder)))
        assert planning.plan(folder) == []
    ignored = shutil.ignore_patterns("results", ".snakemake", ".work")
    anew = Path(shutil.copytree(folder, tmp_path / "anew", ignore=ignored))
    snakemake(anew)
    rebuilt, built = contents(folder), contents(anew)
    assert sorted(rebuilt) == sorted(built)
    assert [path for path in built if rebuilt[path] != built[path]] == []
    # and the edits were no empty ones: what is said to have changed did
    assert first["tiny/ensemble/up/AAA/1h/oof.parquet"] != built["tiny/ensemble/up/AAA/1h/oof.parquet"]
    assert first["tiny/corpus/trading/parts/candles.jsonl"] != built["tiny/corpus/trading/parts/candles.jsonl"]
