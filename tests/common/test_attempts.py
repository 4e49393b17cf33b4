import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.common import attempts
from scripts.common.job import Job

ROOT = Path(__file__).parents[2]
LOG = "results/laptop/logs/train_folds/up/AAA/1h/lgb/b000.log"
ACCOUNT = ".work/laptop/attempts/train_folds/up/AAA/1h/lgb/b000.jsonl"
SCRIPT = """
import os, signal, sys
from scripts.common.errors import StudyError
from scripts.common.job import Job, run

def main(job):
    held = bytearray(200 * 2**20)
    {ending}

job = Job(threads=3, resources={{"mem_mb": 900, "runtime": 10, "gpu": 1, "tmpdir": "/tmp"}}, wildcards={{}})
job.log = [sys.argv[1]]
run(main, job)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return tmp_path


def run_script(ending, **environment):
    Path("script.py").write_text(SCRIPT.format(ending=ending))
    environment = {"PYTHONPATH": str(ROOT), **environment}
    return subprocess.run([sys.executable, "script.py", LOG], env=environment, capture_output=True).returncode


def job():
    made = Job(resources={"mem_mb": 500})
    made.log = [LOG]
    return made


def test_an_attempt_tells_its_request_its_place_and_its_peak():
    assert run_script("pass", SLURM_JOB_ID="42") == 0
    (told,) = attempts.read(ACCOUNT)
    assert told.request == {"mem_mb": 900, "runtime": 10, "gpu": 1, "threads": 3}
    assert (told.outcome, told.slurm_job) == ("done", "42") and told.host and told.start <= told.end
    assert 200 < told.peak_mb < 400
    assert attempts.read_all("laptop") == {"train_folds/up/AAA/1h/lgb/b000": [told]}


def test_the_peak_is_not_that_of_the_process_that_started_the_job():
    held = bytearray(300 * 2**20)  # what fork and exec would hand on to getrusage
    assert run_script("pass") == 0 and len(held)
    assert attempts.read(ACCOUNT)[0].peak_mb < 290
    assert attempts.peak_megabytes("nowhere") is None


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        ('raise StudyError("no bars")', "StudyError"),
        ("1 / 0", "ZeroDivisionError"),
        ("sys.exit(3)", "SystemExit"),
        ("os.kill(os.getpid(), signal.SIGKILL)", None),
        ("os.kill(os.getpid(), signal.SIGTERM)", None),
    ],
)
def test_an_attempt_that_ends_badly_says_how_or_has_no_end(ending, outcome):
    assert run_script(ending) != 0
    (told,) = attempts.read(ACCOUNT)
    assert told.outcome == outcome and (told.end is None) == (told.seconds is None) == (outcome is None)


def test_attempts_add_up_until_one_goes_well():
    assert run_script("1 / 0") and run_script("os.kill(os.getpid(), signal.SIGKILL)") == -signal.SIGKILL
    assert run_script("pass") == 0
    assert [each.outcome for each in attempts.read(ACCOUNT)] == ["ZeroDivisionError", None, "done"]
    assert run_script("1 / 0")
    assert [each.outcome for each in attempts.read(ACCOUNT)] == ["ZeroDivisionError"]  # of the next outputs


def test_two_at_once_are_told_apart():
    first, second = attempts.begin(job()), attempts.begin(job())
    second("done"), first("KeyboardInterrupt")
    assert [each.outcome for each in attempts.read(ACCOUNT)] == ["KeyboardInterrupt", "done"]


def test_a_line_cut_short_hides_no_other():
    attempts.begin(job())("done")
    with open(ACCOUNT, "a") as file:
        file.write('{"attempt": "x", "sta\n' + json.dumps({"attempt": "y", "end": 5}) + "\n[1]\n")
    assert [each.outcome for each in attempts.read(ACCOUNT)] == ["done"]


def test_an_account_that_cannot_be_written_fails_no_job():
    Path(".work").write_text("a file, where the folder should be")
    assert run_script("pass") == 0 and attempts.read(ACCOUNT) == []


def test_jobs_outside_a_study_keep_no_account():
    assert attempts.path_of("elsewhere/x.log") is None
    assert attempts.path_of("/storage/results/s/logs/label_bars/a.b.log") == Path(
        ".work/s/attempts/label_bars/a.b.jsonl"
    )
    attempts.begin(Job())("done")
    assert os.listdir() == []
