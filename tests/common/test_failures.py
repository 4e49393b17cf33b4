"""A failed training leaves a record that says what to do, and its last good weights; a success resolves it."""

import errno
import json
import os
import signal

import pytest

from scripts.common.errors import StudyError
from scripts.common.training import failures
from scripts.common.training.health import Finding
from scripts.common.training.states import Checkpoint

FOUND = Finding("diverged", 42, "stop", {"loss": 9.0, "limit": 4.0, "n": None}, "lower learning_rate")


@pytest.fixture
def adapter(tmp_path):
    folder = tmp_path / "checkpoint-40"
    folder.mkdir()
    for name in ("adapter_model.safetensors", "adapter_config.json", "optimizer.pt"):
        (folder / name).write_bytes(name.encode())
    return folder


NAMES = ("adapter_model.safetensors", "adapter_config.json")


def test_a_record_has_the_finding_and_the_checkpoint_beside_it(tmp_path, adapter):
    files = [adapter / name for name in NAMES]
    path = failures.write(tmp_path, "train_sft", "forex_v1/A", FOUND, files, 40)
    assert path == tmp_path / "failures/train_sft/forex_v1/A.json"
    record = json.loads(path.read_text())
    assert record == {
        "schema": "quantmake/failure/1",
        "rule": "train_sft",
        "key": "forex_v1/A",
        "class": "diverged",
        "step": 42,
        "evidence": {"loss": 9.0, "limit": 4.0, "n": None},
        "remedy": "lower learning_rate",
        "checkpoint": {"folder": "A.checkpoint", "step": 40, "files": sorted(NAMES)},
        "resolved": False,
    }
    copies = tmp_path / "failures/train_sft/forex_v1/A.checkpoint"
    assert {each.name: each.read_bytes() for each in copies.iterdir()} == {name: name.encode() for name in NAMES}
    first = path.read_bytes()
    assert failures.write(tmp_path, "train_sft", "forex_v1/A", FOUND, files, 40).read_bytes() == first


def test_a_failure_without_a_checkpoint_removes_that_of_the_one_before(tmp_path, adapter):
    failures.write(tmp_path, "train_dpo", "v1", FOUND, [adapter / NAMES[0]], 40)
    failures.write(tmp_path, "train_dpo", "v1", FOUND)
    assert [path.name for path in (tmp_path / "failures/train_dpo").iterdir()] == ["v1.json"]


def test_all_records_are_read_in_order_and_those_in_checkpoints_are_not(tmp_path, adapter):
    (adapter / "adapter_config.json").write_text('{"schema": "quantmake/failure/1", "rule": "x", "key": "x"}')
    for rule, key in (("train_sft", "b"), ("train_dpo", "z"), ("train_sft", "a/c")):
        failures.write(tmp_path, rule, key, FOUND, [adapter / "adapter_config.json"], 40)
    found = [(each["rule"], each["key"]) for each in failures.read_all(tmp_path)]
    assert found == [("train_dpo", "z"), ("train_sft", "a/c"), ("train_sft", "b")]
    assert failures.read_all(tmp_path / "other") == []


def test_a_file_that_is_no_record_is_named(tmp_path):
    path = tmp_path / "failures/train_sft/v1.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(StudyError, match=r"v1\.json is no failure record"):
        failures.read_all(tmp_path)


@pytest.mark.parametrize("key", ["../x", "a//b", "..", "a b", "/etc"])
def test_a_key_that_leads_elsewhere_is_refused(tmp_path, key):
    with pytest.raises(ValueError, match="cannot be a path"):
        failures.write(tmp_path, "train_sft", key, FOUND)


def test_a_later_success_resolves_and_keeps_the_record(tmp_path):
    assert failures.resolve(tmp_path, "train_sft", "v1") is False
    with pytest.raises(failures.StoppedError), failures.recording(tmp_path, "train_sft", "v1"):
        raise failures.StoppedError(FOUND)
    assert [each["resolved"] for each in failures.read_all(tmp_path)] == [False]
    with failures.recording(tmp_path, "train_sft", "v1"):
        pass
    (record,) = failures.read_all(tmp_path)
    assert record["resolved"] is True and record["evidence"]["loss"] == 9.0
    with failures.recording(tmp_path, "train_sft", "other"):
        pass
    assert len(failures.read_all(tmp_path)) == 1


def test_a_stopped_training_keeps_the_files_that_it_names(tmp_path, adapter):
    said = "stopped at step 42: diverged.*What to do: lower learning_rate"
    with pytest.raises(StudyError, match=said) as caught, failures.recording(tmp_path, "train_sft", "v1"):
        raise failures.StoppedError.with_checkpoint(FOUND, Checkpoint(40, adapter), NAMES)
    (record,) = failures.read_all(tmp_path)
    assert record["checkpoint"]["step"] == 40 and record["checkpoint"]["files"] == sorted(NAMES)
    assert "n None" not in str(caught.value)
    assert failures.StoppedError.with_checkpoint(FOUND, None, NAMES).files == []


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


CUDA = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 139 GiB. Process 123 has 5 GiB in use."
ERRORS = {
    "out_of_memory": [
        OutOfMemoryError(CUDA),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
    "out_of_disk": [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("basic_ios::clear: iostream error: No space left on device"),
    ],
    "no_gpu": [
        RuntimeError("No CUDA GPUs are available"),
        RuntimeError("Found no NVIDIA driver on your system."),
        AssertionError("Torch not compiled with CUDA enabled"),
    ],
    "killed": [KeyboardInterrupt()],
    "error": [ValueError("shapes (2,) and (3,)"), OSError(errno.ENOENT, "No such file or directory")],
}


@pytest.mark.parametrize(("kind", "error"), [(kind, each) for kind, several in ERRORS.items() for each in several])
def test_an_error_is_classed_and_goes_on(tmp_path, kind, error):
    with pytest.raises(type(error)) as caught, failures.recording(tmp_path, "train_sft", "v1", step=lambda: 7):
        raise error
    assert caught.value is error
    (record,) = failures.read_all(tmp_path)
    assert record["class"] == kind and record["step"] == 7 and record["remedy"]
    assert "123" not in record["evidence"]["message"]


def test_an_error_has_no_absolute_path_of_this_checkout(tmp_path):
    finding = failures.of_error(OSError(errno.ENOENT, "No such file", os.path.join(os.getcwd(), "results/x")))
    assert finding.evidence["message"] == "[Errno 2] No such file: 'results/x'"


@pytest.mark.parametrize("error", [StudyError("base: no such model"), SystemExit(1)])
def test_what_is_no_failure_of_the_training_leaves_no_record(tmp_path, error):
    with pytest.raises(type(error)), failures.recording(tmp_path, "train_sft", "v1"):
        raise error
    assert failures.read_all(tmp_path) == []


def test_a_scheduler_that_ends_the_job_is_told_and_the_last_checkpoint_kept(tmp_path, adapter):
    before = signal.getsignal(signal.SIGTERM)
    keep = {"files": lambda: ([adapter / NAMES[0]], 40), "step": lambda: 44}
    with pytest.raises(SystemExit) as caught, failures.recording(tmp_path, "train_sft", "v1", **keep):
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.code == 143
    (record,) = failures.read_all(tmp_path)
    assert (record["class"], record["step"], record["checkpoint"]["step"]) == ("killed", 44, 40)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_record_that_cannot_be_written_does_not_hide_the_error(tmp_path):
    (tmp_path / "failures").write_text("in the way")
    with pytest.raises(MemoryError), failures.recording(tmp_path, "train_sft", "v1"):
        raise MemoryError
