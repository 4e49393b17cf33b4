"""Records of trainings that failed: results/<study>/failures/<rule>/<key>.json, and the last healthy checkpoint.

They are no outputs of any rule, so that they stay when Snakemake removes what a failed job wrote. A later success of
the same job marks its record as resolved and keeps it. There are no times in them.
"""

import errno
import hashlib
import json
import logging
import os
import shutil
import signal
import threading
from contextlib import contextmanager
from pathlib import Path

from scripts.common.atomic import replacing, write_json
from scripts.common.errors import StudyError
from scripts.common.training.health import STOP, Finding
from scripts.common.training.states import place

log = logging.getLogger(__name__)
FOLDER = "failures"
LONGEST = 300
# what torch and CUDA say when there is no card to be had
NO_GPU = ("no cuda gpus are available", "found no nvidia driver", "no cuda-capable device", "not compiled with cuda")
REMEDIES = {
    "out_of_memory": "lower batch or row_tokens, turn on gradient_checkpointing, or give the job more memory (mem_mb)",
    "out_of_disk": "free space in the study's folder and below .work, or save fewer checkpoints; then run again",
    "no_gpu": "run on a machine with a GPU, or set device: cpu",
    "wrong_reference": "remove dpo/reference.parquet of the recipe and run again: its reference is scored anew",
    "killed": "run again: the training goes on from its last checkpoint; give the job more time if its limit ended it",
    "error": "see the job's log",
}


class StoppedError(StudyError):
    """A training that was stopped: ``finding``, and the files of its last healthy checkpoint."""

    def __init__(self, finding, files=(), checkpoint_step=None):
        self.finding, self.files, self.checkpoint_step = finding, list(files), checkpoint_step
        at = "" if finding.step is None else f" at step {finding.step}"
        said = ", ".join(f"{name} {value}" for name, value in finding.evidence.items() if value is not None)
        super().__init__(f"the training was stopped{at}: {finding.kind} ({said}). What to do: {finding.remedy}")

    @classmethod
    def with_checkpoint(cls, finding, checkpoint, names):
        """The error with the files called ``names`` of a :class:`scripts.common.training.states.Checkpoint` or None."""
        if checkpoint is None:
            return cls(finding)
        return cls(finding, [checkpoint.folder / name for name in names], checkpoint.step)


def stopped(kind, step, evidence, remedy=None):
    """The :class:`StoppedError` of a training that cannot go on, for one of the kinds that have a remedy here."""
    return StoppedError(Finding(kind, step, STOP, evidence, remedy or REMEDIES[kind]))


class Killed(BaseException):
    """The process was asked to end (SIGTERM): by a scheduler's time limit, or by somebody."""


def record_path(study_folder, rule, key):
    """Where the record of a job is."""
    path = place(Path(study_folder, FOLDER), rule, key)
    return path.with_name(f"{path.name}.json")


def write(study_folder, rule, key, finding, files=(), checkpoint_step=None):
    """Write the record of a failed job; its path. A record of the same job from before is replaced.

    ``finding``: a :class:`scripts.common.training.health.Finding`; ``files``: those of the last healthy checkpoint
    that are worth keeping (adapters, not optimizers), copied to ``<key>.checkpoint/``; ``checkpoint_step``: its step.
    """
    path = record_path(study_folder, rule, key)
    copies = path.with_name(f"{path.name.removesuffix('.json')}.checkpoint")
    if files:
        with replacing(copies) as temporary:
            temporary.mkdir()
            for file in map(Path, files):
                shutil.copyfile(file, temporary / file.name)
    elif copies.exists():
        shutil.rmtree(copies)
    names = sorted(Path(file).name for file in files)
    body = {
        "schema": "quantmake/failure/1",
        "rule": rule,
        "key": str(key),
        **{name: value for name, value in finding.record().items() if name != "severity"},
        "checkpoint": {"folder": copies.name, "step": checkpoint_step, "files": names} if files else None,
        "resolved": False,
    }
    write_json(path, body)
    return path


def resolve(study_folder, rule, key):
    """Mark the record of a job as resolved, where there is one; whether there was."""
    path = record_path(study_folder, rule, key)
    if not path.exists():
        return False
    write_json(path, json.loads(path.read_text(encoding="utf-8")) | {"resolved": True})
    return True


def read_all(study_folder):
    """All records of a study, by rule and key. Raises StudyError for a file that is no record."""
    found = []
    for path in sorted(Path(study_folder, FOLDER).rglob("*.json")):
        if any(part.endswith(".checkpoint") or part.startswith(".") for part in path.relative_to(study_folder).parts):
            continue
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            record = None
        if not isinstance(record, dict) or not str(record.get("schema")).startswith("quantmake/failure/"):
            raise StudyError(f"{path} is no failure record: remove it")
        found.append(record)
    return sorted(found, key=lambda record: (record["rule"], record["key"]))


def unresolved(study_folder):
    """The records of trainings that have not succeeded since."""
    return [record for record in read_all(study_folder) if not record["resolved"]]


def digest(study_folder):
    """A short digest of all records: what a page of them depends on."""
    return hashlib.sha256(json.dumps(read_all(study_folder), sort_keys=True).encode()).hexdigest()[:16]


def of_error(error, step=None):
    """The :class:`Finding` for an exception, or None for those that are no failure of a training (StudyError, exits).

    ``step``: the last step of the training, where it is known.
    """
    if isinstance(error, StoppedError):
        return error.finding
    if isinstance(error, StudyError | SystemExit | GeneratorExit):
        return None
    kind = _kind(error)
    evidence = {"error": type(error).__name__, "message": message(error)}
    return Finding(kind, step, STOP, evidence, REMEDIES[kind])


@contextmanager
def recording(study_folder, rule, key, files=None, step=None):
    """Record what ends the block: a :class:`StoppedError`, no memory, no disk, no GPU, SIGTERM, or any other error.

    The error goes on as it was; a Killed ends the process with status 143. A block that ends well resolves the record
    of the time before. ``files``: a function that gives ``(files, step)`` of the last healthy checkpoint, for errors
    that do not carry them; ``step``: a function that gives the last step.
    """
    with _sigterm_raises():
        try:
            yield
        except BaseException as error:
            _record_error(study_folder, rule, key, error, files, step)
            if isinstance(error, Killed):
                raise SystemExit(128 + signal.SIGTERM) from error
            raise
    resolve(study_folder, rule, key)


def _record_error(study_folder, rule, key, error, files, step):
    finding = of_error(error, step() if step else None)
    if finding is None:
        return
    try:
        kept, at = files() if files else ((), None)
        if isinstance(error, StoppedError) and error.files:
            kept, at = error.files, error.checkpoint_step
        path = write(study_folder, rule, key, finding, kept, at)
        log.info("the failure is recorded in %s", path)
    except OSError as problem:
        # a full disk must not hide what happened
        log.error("the failure (%s) could not be recorded: %s", finding.kind, problem)


@contextmanager
def _sigterm_raises():
    """SIGTERM raises Killed in this block; outside the main thread it does what it did."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number, frame):
        raise Killed("SIGTERM")

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _kind(error):
    text = str(error).lower()
    if isinstance(error, Killed | KeyboardInterrupt):
        return "killed"
    # torch's class is not imported for its name: this must work without torch
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "out of memory" in text:
        return "out_of_memory"
    # torch says so when a tensor does not fit the machine's memory, and when a file cannot be written
    if isinstance(error, RuntimeError) and "can't allocate memory" in text:
        return "out_of_memory"
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or "no space left on device" in text or "disk quota exceeded" in text:
        return "out_of_disk"
    return "no_gpu" if any(each in text for each in NO_GPU) else "error"


def message(error):
    """The first sentences of an error, without the working directory and without the numbers of processes."""
    text = " ".join(str(error).replace(os.getcwd() + os.sep, "").split()).partition(" Process ")[0]
    return text[:LONGEST]
