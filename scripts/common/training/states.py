"""The state of a long training outside its outputs: `.work/<study>/<rule>/<key>/`, to resume from after a kill.

A state belongs to the contents of a job's inputs, its params and its code. The same job finds its complete
checkpoints again; when anything changed, the folder is emptied and the training starts afresh.
"""

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from scripts.common.atomic import write_json
from scripts.common.errors import StudyError
from scripts.common.job import progress

log = logging.getLogger(__name__)
STATE, MARKER, NOTES = "state.json", "complete.json", "notes.json"
KEEP = 2
# inputs that let a training begin and change nothing in it: a recipe's preflight names its quants, too
PASSED = ("preflight",)
# A job on another machine of a cluster cannot be looked up: its lock counts for so many seconds after its last sign of
# life. Signs come ten times as often, from a thread, so that a step of training may take as long as it likes.
SILENCE = 120.0
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


class Checkpoint(NamedTuple):
    """A complete checkpoint: the optimizer step it was saved after, and its folder."""

    step: int
    folder: Path


class State:
    """An open state; one job has it at a time. Use as a context: the lock is released at the end, the folder stays.

    ``folder``: where the training keeps what it needs to go on.
    """

    def __init__(self, folder, lock):
        self.folder, self._lock = Path(folder), lock
        self._released = threading.Event()
        threading.Thread(target=_give_signs, args=(lock, self._released), daemon=True).start()

    @classmethod
    def open(cls, root, rule, key, job):
        """The state of a job. ``root``: `.work/<study>`; ``key``: what tells the jobs of a rule apart, a/b allowed.

        ``job``: the `snakemake` object or a :class:`scripts.common.job.Job`. Inputs count by content, named relative
        to the working directory; folders do not count (their index file does), nor do outputs, threads, resources,
        and inputs that are only passed (``PASSED``).
        Raises StudyError when another job has the state. Where that is on another machine and silent, as after a
        machine's crash, it is waited for ``SILENCE`` seconds for a sign of it.
        """
        folder = place(root, rule, key)
        lock = folder.with_name(f".{folder.name}.lock")
        _acquire(lock)
        state = cls(folder, lock)
        try:
            state._prepare(describe(rule, key, job))
        except BaseException:
            state.release()
            raise
        return state

    def _prepare(self, about):
        known = _read(self.folder / STATE)
        if known is not None and known.get("hash") == about["hash"]:
            found = self.checkpoints()
            log.info("%s: same inputs, params and code; %s", self.folder, _resumes(found))
            return
        if self.folder.exists():
            log.info("%s: starts afresh, since %s", self.folder, _difference(known, about))
            # without state.json a folder that is half removed is not taken for whole
            (self.folder / STATE).unlink(missing_ok=True)
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        write_json(self.folder / STATE, about)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()

    def checkpoint_folder(self, step):
        """Where the checkpoint of a step belongs; transformers' Trainer with output_dir=folder agrees."""
        return self.folder / f"checkpoint-{step}"

    def checkpoints(self):
        """The complete checkpoints, oldest first, as :class:`Checkpoint`; the others are removed."""
        found = []
        for step, folder in self._folders():
            if is_complete(folder):
                found.append(Checkpoint(step, folder))
            else:
                log.info("%s: not complete, removed", folder)
                remove_checkpoint(folder)
        return found

    def resume(self, before=None):
        """The folder of the newest complete checkpoint as text, or None: the trainer's resume_from_checkpoint.

        ``before``: only checkpoints of earlier steps. Give max_steps where it is not the end of an epoch: the trainer
        makes one step too many from a checkpoint of the last step (transformers 5.23).
        """
        found = [each for each in self.checkpoints() if before is None or each.step < before]
        return str(found[-1].folder) if found else None

    def complete(self, step):
        """Mark the checkpoint of a step as complete: its files, then the marker with their sha256, reach the disk."""
        folder = self.checkpoint_folder(step)
        sums = {name: _sha256(folder / name, sync=True) for name in _files(folder)}
        _sync(folder)
        temporary = folder / f".{MARKER}.part"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump({"step": step, "files": sums}, file, sort_keys=True, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / MARKER)
        _sync(folder), _sync(folder.parent)

    def prune(self, proven=None, keep=KEEP, protect=()):
        """Remove all but the newest ``keep`` complete checkpoints, those in ``protect`` (steps), and the healthy one.

        ``proven``: the last step whose weights are known to be good; the newest checkpoint up to it stays.
        """
        marked = [(step, folder) for step, folder in self._folders() if (folder / MARKER).exists()]
        stays = {step for step, _ in marked[-keep:]} | set(protect)
        stays |= {step for step, _ in [each for each in marked if proven is not None and each[0] <= proven][-1:]}
        for step, folder in marked:
            if step not in stays:
                remove_checkpoint(folder)

    def discard_after(self, step):
        """Remove the checkpoints of later steps: a training that starts at ``step`` makes its own."""
        for later, folder in self._folders():
            if later > step:
                remove_checkpoint(folder)

    def healthy(self, proven):
        """The newest complete checkpoint whose weights are known to be good (see ``Guard.proven``), or None."""
        found = [each for each in self.checkpoints() if proven is not None and each.step <= proven]
        return found[-1] if found else None

    def remember(self, name, value):
        """Keep a value (JSON) for the time after a kill: what was found out on the way, such as a row length."""
        write_json(self.folder / NOTES, (_read(self.folder / NOTES) or {}) | {name: value})

    def recall(self, name, default=None):
        """What :meth:`remember` kept."""
        return (_read(self.folder / NOTES) or {}).get(name, default)

    def release(self):
        """Give the lock back; the folder stays."""
        self._released.set()
        _release(self._lock)

    def close(self):
        """Remove the folder and the lock: after the outputs were written."""
        (self.folder / STATE).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.release()

    def _folders(self):
        """(step, folder) of everything that is called a checkpoint, oldest first."""
        found = [(match, path) for path in self.folder.iterdir() if (match := _CHECKPOINT.fullmatch(path.name))]
        return sorted((int(match[1]), path) for match, path in found)


def place(root, rule, key):
    """``root/rule/key`` as a path; raises ValueError where a part of ``key`` is no name for a file."""
    parts = [rule, *str(key).split("/")]
    if not all(re.fullmatch(r"[A-Za-z0-9_.-]+", part) and part.strip(".") for part in parts):
        raise ValueError(f"'{rule}/{key}' cannot be a path: its parts need letters, digits, '_', '.' and '-'")
    return Path(root, *parts)


def describe(rule, key, job):
    """What state.json says of a job: the sha256 of its input files, its params and tokens, and the hash of all."""
    passed = {str(path) for name in PASSED if (path := job.input.get(name)) is not None}
    counted = [path for path in map(str, job.input) if path not in passed]
    inputs = [(Path(os.path.relpath(path)).as_posix(), path) for path in counted]
    # Snakemake's params are a list of all values, of which some have names: the code tokens have none
    params = {"named": dict(job.params.items()), "all": list(job.params)}
    about = {
        "schema": "quantmake/training_state/1",
        "rule": rule,
        "key": str(key),
        "inputs": {name: _sha256(path) for name, path in inputs if not os.path.isdir(path)},
        "params": json.loads(json.dumps(params, sort_keys=True, default=str)),
    }
    canonical = json.dumps(about, sort_keys=True, separators=(",", ":"))
    return about | {"hash": hashlib.sha256(canonical.encode()).hexdigest()}


def is_complete(folder):
    """Whether a checkpoint has its marker, and exactly the files with the sha256 that it names."""
    folder = Path(folder)
    known = _read(folder / MARKER)
    if not isinstance(known, dict) or not isinstance(known.get("files"), dict):
        return False
    names = _files(folder)
    return set(names) == set(known["files"]) and all(_sha256(folder / each) == known["files"][each] for each in names)


def remove_checkpoint(folder):
    """Remove a checkpoint, its marker first: a kill on the way leaves one that does not count."""
    (folder / MARKER).unlink(missing_ok=True)
    shutil.rmtree(folder)


def _resumes(found):
    return f"resumes after step {found[-1].step}" if found else "no complete checkpoint, starts at step 0"


def _difference(known, about):
    """In words, what is not as it was."""
    if not isinstance(known, dict) or "inputs" not in known:
        return "it has no readable state.json"
    old, new = known["inputs"], about["inputs"]
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    old, new = known["params"]["named"], about["params"]["named"]
    changed += sorted(f"params.{name}" for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    old, new = ([json.dumps(each) for each in each["params"]["all"]] for each in (known, about))
    if not changed:
        changed = [text.strip('"').split("@")[0] for text in new if text not in old] or ["the order of params"]
    return f"{', '.join(changed[:5])}{' ...' if len(changed) > 5 else ''} changed"


def _acquire(lock):
    """Take a lock, also from a job that died. Raises StudyError when its holder is alive."""
    watched, seen = None, None  # since when, and the holder's last sign then
    while True:
        with _exclusive(lock) as descriptor:
            held, sign = _decode(os.pread(descriptor, 4096, 0)), os.fstat(descriptor).st_mtime
            if not held or not _alive(held, sign, watched):
                if held:
                    log.info("%s: process %s on %s died, its state is taken over", lock, held["pid"], held["host"])
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps(_identity(os.getpid())).encode(), 0)
                os.fsync(descriptor)
                return
        if held["host"] == socket.gethostname() or seen not in (None, (held, sign)):
            raise StudyError(
                f"process {held['pid']} on {held['host']} is at this training already ({lock.parent / lock.name}): "
                "wait for it or end it. If you are sure that it is gone, remove that file"
            )
        if watched is None:
            watched, seen = time.monotonic(), (held, sign)
            progress.info("waiting for a sign of process %s on %s, at most %.0f s", held["pid"], held["host"], SILENCE)
        time.sleep(SILENCE / 60)


def _release(lock):
    """Remove a lock where this process holds it."""
    if not lock.exists():
        return
    with _exclusive(lock) as descriptor:
        if _decode(os.pread(descriptor, 4096, 0)) in (_identity(os.getpid()), None):
            lock.unlink(missing_ok=True)


@contextmanager
def _exclusive(lock):
    """The descriptor of a lock file that nobody else reads or writes meanwhile."""
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # the file may have been removed, and made anew by another, while we waited
            if lock.exists() and os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _identity(pid):
    return {"pid": pid, "started": _started(pid), "host": socket.gethostname()}


def _started(pid):
    """When a process began, in ticks since the machine started (Linux); None where it cannot be known."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return None


def _give_signs(lock, released):
    """Touch a lock now and then, for jobs on other machines, until it is released or gone."""
    while not released.wait(SILENCE / 10):
        try:
            os.utime(lock)
        except OSError:
            return


def _alive(held, touched, watched=None):
    """Whether a lock's holder is alive; ``watched``: since when (monotonic) it was seen to give no sign, or None."""
    if held["host"] != socket.gethostname():
        # the clocks of two machines may differ: what was watched counts as well
        silent = 0 if watched is None else time.monotonic() - watched
        return max(silent, time.time() - touched) < SILENCE
    try:
        os.kill(held["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    # another process may have the number by now
    return held["started"] == _started(held["pid"]) or None in (held["started"], _started(held["pid"]))


def _decode(content):
    try:
        found = json.loads(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) and {"pid", "started", "host"} <= found.keys() else None


def _read(path):
    """The JSON in a file, or None where there is none that is whole."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _files(folder):
    """The names of all files below a checkpoint but the marker and what is left of one."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted(name for name in names if name not in (MARKER, f".{MARKER}.part"))


def _sha256(path, sync=False):
    with open(path, "rb") as file:
        if sync:
            os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder):
    """Have a folder's entries on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
