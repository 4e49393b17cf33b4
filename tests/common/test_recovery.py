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


def mark(folder, output):
    """Mark an output as unfinished, as Snakemake does."""
    name = urlsafe_b64encode(output.encode()).decode()
    pieces = [name[start : start + 254] for start in range(0, len(name), 254)]
    path = folder.joinpath(".snakemake", "incomplete", *(f"@{piece}" for piece in pieces[:-1]), pieces[-1])
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


def test_jobs_that_outlived_their_workflow_are_waited_for(locked):
    job = [sys.executable, "-c", "import time; time.sleep(2)  # .snakemake/scripts/tmp.train_folds.py"]
    process = subprocess.Popen(job, cwd=locked)
    recover(locked)
    assert process.poll() is not None
