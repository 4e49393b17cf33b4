"""kill -9 of everything at random moments: the next `make run` finishes, and all files are as if nothing had been."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.tiny import contents, make_checkout

VENV = Path(sys.prefix)


def start(folder):
    """`make run` in a checkout, as a process group of its own."""
    return subprocess.Popen(
        ["make", "run", "CORES=2"], cwd=folder, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def kill_all(process):
    """SIGKILL the process and all that descends from it, parents first so that nothing is told."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for each in family:
        try:
            each.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    process.communicate()
    psutil.wait_procs(family, timeout=30)


def prepared(folder):
    """A checkout that uses the environment in which the tests run."""
    make_checkout(folder)
    for name in ("Makefile",):
        (folder / name).write_bytes((Path(__file__).parents[2] / name).read_bytes())
    os.symlink(VENV, folder / ".venv")
    return folder


def finish(folder):
    process = start(folder)
    output = process.communicate()[0].decode()
    assert process.returncode == 0, output[-5000:]
    assert "Traceback" not in output
    return output


@pytest.mark.skipif(not (VENV / "bin/.installed").exists(), reason="needs the environment that `make test` makes")
def test_a_killed_run_is_finished_by_the_next_one(tmp_path, request):
    kills = int(request.config.getoption("--kills"))
    whole = prepared(tmp_path / "whole")
    begun = time.monotonic()
    finish(whole)
    length = time.monotonic() - begun

    broken = prepared(tmp_path / "broken")
    moments = random.Random(7)
    done = 0
    while done < kills:
        process = start(broken)
        # each run gets its share of the whole, so that the kills spread over all stages
        time.sleep(3 + moments.uniform(0.2, 1.2) * length / kills)
        if process.poll() is None:
            kill_all(process)
            done += 1
            print(f"killed {done} of {kills}")
        else:
            process.communicate()
            compare(whole, broken)
            shutil.rmtree(broken / "results")
    finish(broken)
    compare(whole, broken)
    assert "Nothing to be done" in finish(broken)


def compare(whole, broken):
    """Assert that both checkouts hold the same files with the same bytes."""
    expected, found = contents(whole), contents(broken)
    assert sorted(set(found) ^ set(expected)) == []
    assert [name for name in expected if found[name] != expected[name]] == []
