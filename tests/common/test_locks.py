import subprocess
import sys

import pytest

from scripts.common import locks


@pytest.fixture
def locked(tmp_path):
    folder = tmp_path / ".snakemake" / "locks"
    folder.mkdir(parents=True)
    (folder / "0.input.lock").write_text("x")
    return tmp_path


def test_a_lock_that_nobody_holds_is_released(locked):
    assert locks.release(locked)
    assert not list((locked / ".snakemake/locks").iterdir())
    assert not locks.release(locked)


def test_a_lock_of_a_living_run_is_respected(locked):
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)  # snakemake"]
    process = subprocess.Popen(sleeper, cwd=locked)
    try:
        with pytest.raises(SystemExit, match="Another run is at work"):
            locks.release(locked)
        assert list((locked / ".snakemake/locks").iterdir())
    finally:
        process.kill()
        process.wait()


def test_jobs_that_outlived_their_workflow_are_waited_for(locked):
    job = [sys.executable, "-c", "import time; time.sleep(2)  # .snakemake/scripts/tmp.train_folds.py"]
    process = subprocess.Popen(job, cwd=locked)
    assert locks.release(locked)
    assert process.poll() is not None
