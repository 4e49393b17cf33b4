"""Orphans of a killed run: exactly its jobs are cancelled, and nothing that belongs to anybody else."""

import json
import os
import socket
import stat
import subprocess
import sys

import pytest

from scripts.common.errors import StudyError
from scripts.execution import runs

SQUEUE = """#!{python}
import json, sys
names = sys.argv[sys.argv.index("--name") + 1].split(",")
queue = json.load(open({queue!r}))
print("\\n".join(f"{{name}} {{job}}" for job, name in queue.items() if name in names))
"""
SCANCEL = """#!{python}
import json, sys
names = sys.argv[sys.argv.index("--name") + 1].split(",")
queue = json.load(open({queue!r}))
json.dump({{job: name for job, name in queue.items() if name not in names or {stuck}}}, open({queue!r}, "w"))
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """``set_queue({job: name of its run}, stuck=False)`` of a made-up cluster; returns a function that reads it."""
    folder, queue = tmp_path / "bin", tmp_path / "queue.json"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def set_queue(jobs, stuck=False):
        queue.write_text(json.dumps(jobs))
        for name, text in (("squeue", SQUEUE), ("scancel", SCANCEL)):
            script = text.format(python=sys.executable, queue=str(queue), stuck=stuck)
            (folder / name).write_text(script)
            (folder / name).chmod(0o755 | stat.S_IXUSR)
        return lambda: json.loads(queue.read_text())

    return set_queue


def ended(folder, study, run, **changes):
    """The record of a run whose process is over."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    account = {"run": run, "study": study, "host": socket.gethostname(), "pid": process.pid, "started": 1.0}
    path = folder / runs.RECORDS / f"{run}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(account | changes))
    return path


def test_the_jobs_of_a_killed_run_are_cancelled_and_its_record_goes(cluster, tmp_path):
    queue = cluster({"1": "run-a", "2_[3-4]": "run-a", "3": "somebody-else"})
    path = ended(tmp_path, "eth", "run-a")
    assert runs.cancel_orphans(tmp_path, "eth") == 2
    assert queue() == {"3": "somebody-else"}
    assert not path.exists()


def test_a_run_that_is_alive_keeps_its_jobs(cluster, tmp_path):
    queue = cluster({"1": "run-a"})
    runs.record(tmp_path, "eth", "run-a")
    assert runs.cancel_orphans(tmp_path, "eth") == 0
    assert queue() == {"1": "run-a"} and list((tmp_path / runs.RECORDS).iterdir())


def test_another_process_with_the_number_of_the_killed_one_is_not_the_run(cluster, tmp_path):
    queue = cluster({"1": "run-a"})
    ended(tmp_path, "eth", "run-a", pid=os.getpid())
    assert runs.cancel_orphans(tmp_path, "eth") == 1
    assert queue() == {}


def test_jobs_of_another_study_and_of_another_checkout_are_left_alone(cluster, tmp_path):
    queue = cluster({"1": "run-a", "2": "run-b"})
    ended(tmp_path / "here", "btc", "run-a")
    ended(tmp_path / "there", "eth", "run-b")
    assert runs.cancel_orphans(tmp_path / "here", "eth") == 0
    assert queue() == {"1": "run-a", "2": "run-b"}


def test_jobs_of_a_run_on_another_machine_are_not_guessed_about(cluster, tmp_path):
    queue = cluster({"1": "run-a"})
    ended(tmp_path, "eth", "run-a", host="login2")
    with pytest.raises(StudyError, match="login2.*scancel --name run-a"):
        runs.cancel_orphans(tmp_path, "eth")
    assert queue() == {"1": "run-a"}


def test_jobs_that_do_not_go_stop_the_new_run(cluster, tmp_path):
    cluster({"7": "run-a"}, stuck=True)
    ended(tmp_path, "eth", "run-a")
    with pytest.raises(StudyError, match="still there.*7"):
        runs.cancel_orphans(tmp_path, "eth", patience=0)


def test_without_an_earlier_run_slurm_is_not_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert runs.cancel_orphans(tmp_path, "eth") == 0
