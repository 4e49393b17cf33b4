import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.common.job import Job
from scripts.common.results import fingerprints, write_result

ROOT = Path(__file__).parents[2]

SCRIPT = """
import os, subprocess, sys, warnings
from scripts.common.errors import StudyError
from scripts.common.job import Job, progress, run

def main(job):
    print("from python")
    os.write(2, b"from a C library\\n")
    subprocess.run(["echo", "from a child"], check=True)
    warnings.warn("from a warning")
    progress.info("half way")
    {ending}

job = Job(log={{"log": sys.argv[1]}}, wildcards={{"model": "lgb"}})
job.log = [sys.argv[1]]
run(main, job)
"""


def run_script(tmp_path, ending):
    (tmp_path / "script.py").write_text(SCRIPT.format(ending=ending))
    log = tmp_path / "logs" / "x.log"
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py", log],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    return done, log.read_text()


def test_everything_is_in_the_log_and_progress_on_the_terminal(tmp_path):
    done, log = run_script(tmp_path, "pass")
    assert done.returncode == 0
    for text in ("from python", "from a C library", "from a child", "from a warning", "half way"):
        assert text in log
    assert done.stdout == "" and done.stderr.strip() == "job lgb: half way"


def test_an_error_for_people_has_its_traceback_in_the_log_only(tmp_path):
    done, log = run_script(tmp_path, 'raise StudyError("no bars of X in y.csv: check columns")')
    assert done.returncode == 1
    assert "no bars of X in y.csv: check columns" in done.stderr and "Traceback" not in done.stderr
    assert "Traceback" in log


def test_a_crash_has_its_traceback_in_the_log(tmp_path):
    done, log = run_script(tmp_path, "1 / 0")
    assert done.returncode == 1 and "ZeroDivisionError" in log


def test_a_job_answers_as_the_snakemake_object_does():
    job = Job(input={"bars": "b", "more": ["c", "d"]}, params={"seed": 7})
    assert job.input.bars == job.input["bars"] == job.input[0] == "b"
    assert job.input.more == ["c", "d"] and job.params.get("none", 3) == 3
    with pytest.raises(AttributeError):
        job.params.missing  # noqa: B018


def test_fingerprints_tell_code_from_config(tmp_path):
    one = Job(params={"seed": 7, "code": ["scripts/a.py@1"]})
    other = Job(params={"seed": 7, "code": ["scripts/a.py@2"]})
    assert fingerprints(one)["config"] == fingerprints(other)["config"]
    assert fingerprints(one)["code"] != fingerprints(other)["code"]
    write_result(tmp_path / "r.json", "gate/1", {"verdict": "refused"}, one)
    assert set(json.loads((tmp_path / "r.json").read_text())) == {"schema", "code", "config", "verdict"}
