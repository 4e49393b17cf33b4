import os
import subprocess
import sys
from base64 import urlsafe_b64encode

import pytest

from scripts.common.recovery import recover


@pytest.fixture
def locked(tmp_path):
    folder = tmp_path / ".snakemake" / "locks"
    folder.mkdir(parents=True)
    (folder / "0.input.lock").write_text("x")
    return tmp_path


def mark(folder, output, kind="incomplete"):
    """Mark an output as unfinished, or record it (``kind`` metadata), as Snakemake does."""
    name = urlsafe_b64encode(output.encode()).decode()
    pieces = [name[start : start + 254] for start in range(0, len(name), 254)]
    path = folder.joinpath(".snakemake", kind, *(f"@{piece}" for piece in pieces[:-1]), pieces[-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_a_lock_that_nobody_holds_is_released(locked):
    assert recover(locked) == []
    assert not list((locked / ".snakemake/locks").iterdir())


def test_unfinished_outputs_are_removed_and_others_stay(locked):
    deep = "results/" + "a/" * 120 + "oof.parquet"
    for name in (deep, "results/block/fold_0.txt", "results/whole.json"):
        (locked / name).parent.mkdir(parents=True, exist_ok=True)
        (locked / name).write_text("x")
    for output in (deep, "results/block", "results/never_written.json"):
        mark(locked, output)
    assert recover(locked) == sorted([deep, "results/block"])
    assert not (locked / deep).exists() and not (locked / "results/block").exists()
    assert (locked / "results/whole.json").exists()
    assert recover(locked) == []


def test_what_a_killed_run_left_without_mark_and_record_is_removed(locked):
    """A job that outlives its run writes its output when nobody records it any more."""
    begun = (locked / ".snakemake/locks/0.input.lock").stat().st_mtime
    names = ("labels/orphan.parquet", "labels/recorded.parquet", "folds/b000/fold_0.txt", "notes.txt")
    for name in names:
        path = locked / "results/laptop/ensemble" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    os.utime(locked / "results/laptop/ensemble/notes.txt", (begun - 60, begun - 60))
    for name in ("logs/train_folds/b000.log", "benchmarks/train_folds/b000.tsv", "report.html"):
        (locked / "results/laptop" / name).parent.mkdir(parents=True, exist_ok=True)
        (locked / "results/laptop" / name).write_text("x")
    for output in ("labels/recorded.parquet", "folds/b000"):
        mark(locked, f"results/laptop/ensemble/{output}", "metadata")
    assert recover(locked) == ["results/laptop/ensemble/labels/orphan.parquet"]
    assert len([path for path in (locked / "results").rglob("*") if path.is_file()]) == 6


def test_a_folder_without_a_crash_is_left_alone(tmp_path):
    assert recover(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_a_living_run_is_respected(locked):
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)  # snakemake"]
    process = subprocess.Popen(sleeper, cwd=locked)
    try:
        with pytest.raises(SystemExit, match="Another run is at work"):
            recover(locked)
        assert list((locked / ".snakemake/locks").iterdir())
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("said", [".snakemake/scripts/tmp.train_folds.py", "snakemake --target-jobs train_folds:"])
def test_jobs_that_outlived_their_workflow_are_waited_for(locked, said):
    job = [sys.executable, "-c", f"import time; time.sleep(2)  # {said}"]
    process = subprocess.Popen(job, cwd=locked)
    recover(locked)
    assert process.poll() is not None
