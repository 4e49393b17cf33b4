"""A state is found again by the same job only, by one at a time, and holds whole checkpoints only."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from scripts.common.errors import StudyError
from scripts.common.job import Job, Names
from scripts.common.training import metrics, states
from scripts.common.training.states import State

ROOT = Path(__file__).parents[2]


class Params(list):
    """As Snakemake has them: a list of all values, some with names, and tokens without."""

    def __init__(self, named, tokens=()):
        super().__init__([*named.values(), *tokens])
        self._named = named

    def items(self):
        return self._named.items()


@pytest.fixture
def make(tmp_path, monkeypatch):
    """A job of two inputs, by what differs."""
    monkeypatch.chdir(tmp_path)
    for name in ("train.jsonl", "base.index.json"):
        (tmp_path / name).write_text(name)
    (tmp_path / "base").mkdir()
    (tmp_path / "base/model.safetensors").write_text("x")

    def job(rate=1e-3, tokens=("scripts/llm/trainers.py@550a99b0d9", "torch==2.13.0"), **other):
        inputs = {"train": "train.jsonl", "index": "base.index.json", "base": "base"}
        made = Job(input=inputs, output={"adapter": "out.safetensors"}, **other)
        made.params = Params({"learning_rate": rate}, tokens)
        return made

    return job


def fill(state, step, content="weights"):
    folder = state.checkpoint_folder(step)
    (folder / "ref").mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_text(content)
    (folder / "ref/adapter_model.safetensors").write_text("reference")
    return folder


def save(state, *steps):
    for step in steps:
        fill(state, step)
        state.complete(step)


def steps(state):
    return [each.step for each in state.checkpoints()]


def test_the_same_job_finds_its_checkpoints_again(make):
    with State.open(".work/laptop", "train_sft", "v1/A", make()) as state:
        assert state.folder == Path(".work/laptop/train_sft/v1/A") and steps(state) == [] and state.resume() is None
        save(state, 10, 20)
        state.remember("row_tokens", 512)
    with State.open(".work/laptop", "train_sft", "v1/A", make(threads=8, resources={"mem_mb": 9})) as state:
        assert steps(state) == [10, 20]
        assert state.resume().endswith("checkpoint-20") and state.resume(before=20).endswith("checkpoint-10")
        assert state.recall("row_tokens") == 512 and state.recall("other", 3) == 3
    Path("base/model.safetensors").write_text("folders count by their index")
    with State.open(".work/laptop", "train_sft", "v1/A", make()) as state:
        assert steps(state) == [10, 20]


def test_a_preflight_of_other_quants_costs_no_checkpoint(make):
    def job(quants):
        Path("preflight.json").write_text(quants)
        made = make()
        made.input = Names({**dict(made.input.items()), "preflight": "preflight.json"})
        return made

    with State.open("work", "train_sft", "v1", job("F32")) as state:
        save(state, 10)
    with State.open("work", "train_sft", "v1", job("F32, Q8_0")) as state:
        assert steps(state) == [10]


CHANGES = {
    "train.jsonl": lambda make: Path("train.jsonl").write_text("changed") and make(),
    "params.learning_rate": lambda make: make(rate=2e-3),
    "scripts/llm/trainers.py": lambda make: make(tokens=("scripts/llm/trainers.py@0000000000", "torch==2.13.0")),
    "torch==2.14.0": lambda make: make(tokens=("scripts/llm/trainers.py@550a99b0d9", "torch==2.14.0")),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_job_starts_afresh_and_says_why(make, caplog, what):
    with State.open("work", "train_sft", "v1", make()) as state:
        save(state, 10)
        (state.folder / "metrics.jsonl").write_text("{}")
        state.remember("row_tokens", 512)
    with caplog.at_level("INFO"), State.open("work", "train_sft", "v1", CHANGES[what](make)) as state:
        assert sorted(path.name for path in state.folder.iterdir()) == ["state.json"]
        assert state.recall("row_tokens") is None
    assert f"starts afresh, since {what} changed" in caplog.text


def test_a_touched_or_moved_input_of_equal_content_changes_nothing(make, tmp_path, monkeypatch):
    with State.open("work", "train_sft", "v1", make()) as state:
        save(state, 10)
    os.utime("train.jsonl", (1, 1))
    shutil.copytree(tmp_path, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    job = make()
    job.input[0] = str(tmp_path / "copy/train.jsonl")
    with State.open("work", "train_sft", "v1", job) as state:
        assert steps(state) == [10]
        assert str(tmp_path) not in (state.folder / "state.json").read_text()


def test_a_folder_without_a_readable_state_starts_afresh(make):
    with State.open("work", "train_sft", "v1", make()) as state:
        save(state, 10)
    (state.folder / "state.json").write_text('{"hash": "')
    with State.open("work", "train_sft", "v1", make()) as state:
        assert steps(state) == []


def test_a_checkpoint_counts_with_exactly_its_files(make):
    with State.open("work", "train_sft", "v1", make()) as state:
        save(state, 1, 2, 3, 4, 5)
        fill(state, 6)  # killed before the marker
        (state.checkpoint_folder(1) / "adapter_model.safetensors").write_text("weighty")
        (state.checkpoint_folder(2) / "ref/adapter_model.safetensors").unlink()
        (state.checkpoint_folder(3) / "added").write_text("x")
        (state.checkpoint_folder(4) / "complete.json").write_text('{"step": 4, "fi')
        state.checkpoint_folder(7).mkdir()
        (state.folder / "checkpoint-best").mkdir()
        assert steps(state) == [5]
        assert sorted(path.name for path in state.folder.glob("checkpoint-*")) == ["checkpoint-5", "checkpoint-best"]


def test_the_last_two_stay_and_the_healthy_one(make):
    with State.open("work", "train_sft", "v1", make()) as state:
        save(state, 5, 10, 15)
        state.prune(proven=14)
        assert steps(state) == [10, 15]
        save(state, 20, 25)
        state.prune(proven=12)
        assert steps(state) == [10, 20, 25] and state.healthy(12).step == 10
        assert state.healthy(9) is None and state.healthy(None) is None
        save(state, 30)
        state.prune(protect=[20])
        assert steps(state) == [20, 25, 30]
        fill(state, 35)  # being written: not the business of prune
        state.prune(keep=1)
        assert state.checkpoint_folder(35).exists()
        assert steps(state) == [30]


def test_after_the_outputs_nothing_is_left(make):
    state = State.open("work", "train_sft", "v1", make())
    save(state, 5)
    state.close()
    assert [path for path in Path("work").rglob("*") if path.is_file()] == [] and not state.folder.exists()
    State.open("work", "train_sft", "v1", make()).close()


def test_two_jobs_cannot_have_one_state(make):
    with State.open("work", "train_sft", "v1", make()):
        with pytest.raises(StudyError, match=f"process {os.getpid()} on .* is at this training already"):
            State.open("work", "train_sft", "v1", make(rate=1))
        with State.open("work", "train_sft", "v2", make()):
            pass
        with pytest.raises(StudyError):
            State.open("work", "train_sft", "v1", make())
    State.open("work", "train_sft", "v1", make()).close()


HOLDER = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from scripts.common.job import Job
from scripts.common.training.states import State
from tests.common import test_states
test_states.save(State.open("work", "train_sft", "v1", Job(params={{"a": 1}})), 10)
print("ready", flush=True)
time.sleep(60)
"""


def test_the_lock_of_a_killed_job_is_taken_over_and_that_of_a_living_one_is_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = Job(params={"a": 1})
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "ready\n"
        with pytest.raises(StudyError, match=f"process {holder.pid} "):
            State.open("work", "train_sft", "v1", job)
        holder.send_signal(signal.SIGKILL)
    with State.open("work", "train_sft", "v1", job) as state:
        assert steps(state) == [10]


def lock_of(**other):
    path = Path("work/train_sft/.v1.lock")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(states._identity(os.getpid()) | other))
    return path


def test_another_process_with_the_number_of_a_dead_one_is_not_its_job(make):
    lock_of(started=1)
    with State.open("work", "train_sft", "v1", make()):
        assert json.loads(Path("work/train_sft/.v1.lock").read_text()) == states._identity(os.getpid())


def test_a_lock_from_another_machine_counts_as_long_as_it_gives_signs(make, monkeypatch):
    monkeypatch.setattr(states, "SILENCE", 0.6)
    path = lock_of(host="elsewhere")
    ended = threading.Event()
    signs = threading.Thread(target=states._give_signs, args=(path, ended))
    signs.start()
    with pytest.raises(StudyError, match="on elsewhere"):
        State.open("work", "train_sft", "v1", make())
    ended.set()
    signs.join()
    # it crashed: the retry of its job comes before it has been silent for long, and waits
    os.utime(path)
    with State.open("work", "train_sft", "v1", make()):
        assert json.loads(path.read_text()) == states._identity(os.getpid())
    assert not path.exists()


def test_the_clock_of_another_machine_may_be_ahead(make, monkeypatch):
    monkeypatch.setattr(states, "SILENCE", 0.3)
    os.utime(lock_of(host="elsewhere"), (time.time() + 3600,) * 2)
    State.open("work", "train_sft", "v1", make()).close()


def test_a_long_silent_lock_from_another_machine_is_taken_over_at_once(make, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("it waited"))
    os.utime(lock_of(host="elsewhere"), (time.time() - 3600,) * 2)
    State.open("work", "train_sft", "v1", make()).close()


def test_an_open_state_gives_signs_whatever_the_training_does(make, monkeypatch):
    monkeypatch.setattr(states, "SILENCE", 0.1)
    with State.open("work", "train_sft", "v1", make()):
        lock = Path("work/train_sft/.v1.lock")
        os.utime(lock, (1, 1))
        until = time.monotonic() + 20
        while lock.stat().st_mtime == 1 and time.monotonic() < until:
            time.sleep(0.01)
        assert lock.stat().st_mtime > 1


def test_jobs_that_start_at_once_get_one_lock_only(make, monkeypatch):
    """Forked at the same moment on a stale lock, each slow to judge it: exactly one takes it over."""
    lock_of(pid=2**22 + 1)
    make()
    judge = states._alive
    monkeypatch.setattr(states, "_alive", lambda *about: (time.sleep(0.05), judge(*about))[1])
    gate, children = os.pipe(), []
    for _ in range(8):
        child = os.fork()
        if not child:
            os.close(gate[1])
            os.read(gate[0], 1)
            try:
                states._acquire(Path("work/train_sft/.v1.lock"))
                time.sleep(1.5)  # the others must find it alive
                os._exit(0)
            except StudyError:
                os._exit(3)
            finally:
                os._exit(9)
        children.append(child)
    os.close(gate[1])
    codes = sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
    os.close(gate[0])
    assert codes == [0] + [3] * 7


def test_a_failed_opening_gives_the_lock_back(make):
    job = make()
    Path("train.jsonl").unlink()
    with pytest.raises(FileNotFoundError):
        State.open("work", "train_sft", "v1", job)
    assert not Path("work/train_sft/.v1.lock").exists()


def test_metrics_are_cut_after_the_checkpoint_byte_for_byte(tmp_path):
    writer = metrics.Metrics(tmp_path / "run/metrics.jsonl")
    for step in range(1, 8):
        writer.write(metrics.of_step(step, 0.1 + 0.2 * step, 1 / 3, 1e-5))
        if step % 3 == 0:
            writer.write(metrics.of_validation(step, float("inf")))
    writer.sync()
    writer.close()
    whole = writer.path.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert lines[0] == b'{"step": 1, "loss": 0.30000000000000004, "gradient_norm": 0.3333333333333333, ' + (
        b'"learning_rate": 1e-05}\n'
    )
    assert lines[3] == b'{"step": 3, "validation_loss": null, "non_finite": true}\n'
    writer.path.write_bytes(whole + b'{"step": 8, "lo')
    assert [each["step"] for each in writer.resume(6)] == [1, 2, 3, 3, 4, 5, 6, 6]
    assert writer.path.read_bytes() == b"".join(lines[:-1])
    writer.write(metrics.of_step(7, 0.1 + 0.2 * 7, 1 / 3, 1e-5))
    writer.close()
    assert writer.path.read_bytes() == whole
    with pytest.raises(StudyError, match="ends at step 7, but the checkpoint to resume from is of step 9"):
        writer.resume(9)
    assert writer.resume(0) == [] and writer.path.read_bytes() == b""


def test_figures_that_were_not_measured_are_left_out(tmp_path):
    assert metrics.of_step(1, 2.0) == {"step": 1, "loss": 2.0}
    assert metrics.of_step(1, 2.0, margin=float("nan")) == {"step": 1, "loss": 2.0, "margin": None, "non_finite": True}
