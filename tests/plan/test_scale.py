"""The plan of a large study grows by the same jobs with every symbol; benchmarks/planning.py measures what it takes."""

from collections import Counter

import pytest

from benchmarks import planning as scale
from tests import planning

STACKS = len(scale.TIMEFRAMES)  # of one symbol
MODELS, BLOCKS = 6, 3  # 357 folds, 120 to a job


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """The rules' numbers of jobs with two symbols, and with three."""
    counted = []
    for symbols in (2, 3):
        folder = planning.copy_checkout(tmp_path_factory.mktemp(f"symbols{symbols}"))
        folds = scale.make_study(folder, symbols, per_job=120)
        assert set(folds.values()) == {scale.FOLDS}
        counted.append(Counter(each.split()[0] for each in planning.plan(folder)))
    return counted


def test_a_symbol_adds_its_own_jobs_and_no_others(plans):
    two, three = plans
    added = three - two
    assert added["train_folds"] == STACKS * MODELS * BLOCKS
    assert added["fit_final"] == added["export_onnx"] == STACKS * MODELS
    assert {added[rule] for rule in ("assemble_oof", "train_meta", "compose_onnx", "verify_onnx", "gate_ensemble")} == {
        STACKS
    }
    # two feature sets and one table of labels for each year that a window reads
    assert added["compute_features"] == 2 * added["label_bars"]
    assert not two - three and not any(added[rule] for rule in ("tabulate_gates", "write_manifest", "summarize_study"))


def test_fold_blocks_make_thousands_of_jobs_of_the_largest_study(plans):
    two, three = plans
    whole = two.total() + (51 - 2) * (three - two).total()
    assert 51 * STACKS * MODELS * scale.FOLDS > 300_000  # folds that are trained
    assert whole < 12_000
