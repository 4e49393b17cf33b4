"""Rebuilds of the corpus stage that are run; what an edit reruns stands in corpus_edits.py."""

import shutil
from pathlib import Path

import pytest

from tests.planning import plan
from tests.tiny import jobs_run, snakemake


@pytest.fixture
def checkout(talked, tmp_path):
    """A copy of the built checkout of corpora, to edit."""
    return Path(shutil.copytree(talked, tmp_path / "checkout", symlinks=True))


def test_an_equal_outcome_stops_at_the_parts(checkout):
    """A deleted part is made again, and what depends on it finds it unchanged."""
    (checkout / "results/tiny/corpus/trading/parts/states.jsonl").unlink()
    done = snakemake(checkout)
    assert "write_part trading states" in jobs_run(done)
    assert plan(checkout) == []


def test_a_deleted_file_is_missed(checkout):
    for name in ("trading/preferences/test.jsonl", "wealth/phases/B.jsonl", "wealth/card.json", "formulas.json"):
        (checkout / "results/tiny/corpus" / name).unlink()
        assert plan(checkout), name
