"""The processes of one data-parallel training: torchrun's agent runs in the job and starts one for each device.

The job's own process keeps the training's state, its lock and its failure record, and trains nothing. When a process
fails, the agent ends the others, and :func:`launch` raises what the first one said; when the job's process is killed,
they end with it. torch is imported by the functions: planning a study must not wait for it.
"""

import ctypes
import importlib
import json
import logging
import os
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

from scripts.common.atomic import write_json
from scripts.common.errors import StudyError
from scripts.common.job import Job, progress
from scripts.common.training import failures
from scripts.common.training.health import Finding

FOLDER, TASK, TOLD = "processes", "task.json", "progress.txt"  # below the state's folder
ROOT = Path(__file__).resolve().parents[2]
PR_SET_PDEATHSIG = 1  # of Linux's prctl
LATER = (signal.SIGABRT, signal.SIGTERM)  # what ends a process that misses its partner
GRACE = 20  # seconds from SIGTERM to SIGKILL: less than SLURM's 30


class ProcessError(RuntimeError):
    """A process of a training failed; the message says which and why."""


class TooLargeError(Exception):
    """Rows of ``old`` tokens did not fit a GPU: the training has to begin again with rows of ``new``."""

    def __init__(self, old, new):
        self.old, self.new = old, new
        super().__init__(f"rows of {old} tokens do not fit; {new} are tried")


def number(parallel):
    """How many processes a training has, by its recipe's ``parallel`` (a dict, or None)."""
    return parallel["devices"] if parallel and parallel["kind"] == "data" else 1


def position():
    """``(rank, processes)`` of this process in its training; ``(0, 1)`` where it is the only one."""
    import torch.distributed as group

    if not group.is_available() or not group.is_initialized():
        return 0, 1
    return group.get_rank(), group.get_world_size()


def describe(job):
    """A job as JSON: what :func:`restored` makes one of again."""
    return {
        "input": dict(job.input.items()),
        "output": dict(job.output.items()),
        "params": dict(job.params.items()),
        # the tokens of the code have no names
        "tokens": [value for value in job.params if isinstance(value, str) and ("@" in value or "==" in value)],
        "wildcards": dict(job.wildcards.items()),
        "resources": {name: value for name, value in job.resources.items() if isinstance(value, int | str)},
        "threads": job.threads,
    }


def restored(described):
    """The :class:`scripts.common.job.Job` that :func:`describe` described."""
    known = {name: described[name] for name in ("input", "output", "params", "wildcards", "resources", "threads")}
    job = Job(**known)
    job.params.extend(described["tokens"])
    return job


def launch(processes, folder, task):
    """Run a task in so many processes and wait for them; the process of rank 0 writes what there is to write.

    ``folder``: where they keep what they say of themselves; ``task``: a dict with ``function`` ("module:name", called
    with the job and its session), ``job``, and what :func:`scripts.llm.sessions.joined` needs. Raises StoppedError,
    StudyError or TooLargeError as the process that failed first did, ProcessError for any other failure.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    folder = Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_json(folder / TASK, task | {"parent": os.getpid()})
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *(each for each in known if each not in ("", str(ROOT)))])
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=f"training-{os.getpid()}",
        # the agent holds a store on a port that the system chooses: several trainings fit one machine
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        # SIGTERM and SIGINT stay with the job, which records them and ends the processes on its way out
        signals_to_handle="SIGQUIT",
        shutdown_timeout=GRACE,
        logs_specs=DefaultLogsSpecs(log_dir=str(folder / "logs"), tee=Std.ALL),
        log_line_prefix_template="[process ${rank}] ",
    )
    try:
        elastic_launch(config, sys.executable)("-m", "scripts.llm.processes", str(folder / TASK))
    except ChildFailedError as error:
        exits = {rank: failure.exitcode for rank, failure in error.failures.items()}
        raise _cause(exits, processes, folder) from None
    for line in (folder / TOLD).read_text(encoding="utf-8").splitlines():
        progress.info("%s", line)


def _cause(exits, processes, folder):
    """The exception for processes that failed. ``exits``: exit codes by rank, of those that the agent did not end.

    A process whose partner fails fails too, a little later, for want of its partner: it is not the cause. It says so,
    or is aborted; who was killed by anything else and said nothing was first.
    """
    told = {rank: _read(folder / f"error_{rank}.json") for rank in exits}
    told = {rank: each for rank, each in told.items() if each}
    killed = [rank for rank, status in exits.items() if status < 0 and -status not in LATER and rank not in told]
    first = (killed or list(exits))[0]
    if exits[first] < 0 and first not in told:
        name = signal.Signals(-exits[first]).name
        why = "; SIGKILL is also what a process gets when the job has no memory left" if name == "SIGKILL" else ""
        return ProcessError(f"process {first} of {processes} was ended by {name}{why}")
    if not told:
        return ProcessError(f"process {first} of {processes} ended with status {exits[first]}; see the job's log")
    # what all of them found out together, such as a loss that is not finite, is told by any of them
    rank = min(told, key=lambda each: (told[each]["kind"] == "error", told[each]["time"]))
    said = told[rank]
    if said["kind"] == "stopped":
        return failures.StoppedError(Finding(**said["finding"]))
    if said["kind"] == "too_large":
        return TooLargeError(said["old"], said["new"])
    if said["kind"] == "study":
        return StudyError(said["message"])
    return ProcessError(f"process {rank} of {processes} failed: {said['message']}")


def _read(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _tell(path, error):
    """Write down what ended this process."""
    said = {"kind": "error", "message": f"{type(error).__name__}: {failures.message(error)}"}
    if isinstance(error, failures.StoppedError):
        found = error.finding
        parts = {name: getattr(found, name) for name in ("kind", "step", "severity", "evidence", "remedy")}
        said = {"kind": "stopped", "finding": parts}
    elif isinstance(error, TooLargeError):
        said = {"kind": "too_large", "old": error.old, "new": error.new}
    elif isinstance(error, StudyError):
        said = {"kind": "study", "message": str(error)}
    write_json(path, said | {"time": time.time_ns()})


def _end_with(parent):
    """Have the system kill this process when ``parent``, which started it, ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the training's job has ended")


def main(path):
    """Be one of the processes of the task in the file ``path``: torchrun's agent says which."""
    folder, task, rank = Path(path).parent, json.loads(Path(path).read_text(encoding="utf-8")), int(os.environ["RANK"])
    _end_with(task["parent"])
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True, format="%(message)s")
    if rank == 0:
        progress.addHandler(logging.FileHandler(folder / TOLD, encoding="utf-8"))
    import torch

    from scripts.llm import sessions

    try:
        if task["device"] == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        torch.distributed.init_process_group("nccl" if task["device"] == "cuda" else "gloo")
        job = restored(task["job"])
        module, name = task["function"].split(":")
        with sessions.joined(job, task) as session:
            getattr(importlib.import_module(module), name)(job, session)
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
    except Exception as error:
        _tell(folder / f"error_{rank}.json", error)
        traceback.print_exc()
        # not through torch's own ending, which may wait for the others
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    # under its own name: its errors have to be the classes that others raise
    from scripts.llm import processes

    processes.main(sys.argv[1])
