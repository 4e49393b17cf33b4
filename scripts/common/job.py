"""Run a script's ``main(job)`` under Snakemake: one log, readable errors, progress on the terminal.

Under Snakemake ``job`` is the ``snakemake`` object; tests pass a :class:`Job`, which answers the same questions.
"""

import logging
import os
import sys
import tempfile
import traceback

from scripts.common import attempts, disks
from scripts.common.errors import StudyError

progress = logging.getLogger("progress")


class Names(list):
    """A list some of whose values have names: ``job.input.bars``, ``job.input["bars"]``, ``job.input[0]``.

    A name may stand for several values (a list); in the list itself they follow each other.
    """

    def __init__(self, values=()):
        named = dict(values) if isinstance(values, dict) else {}
        super().__init__(values)
        if isinstance(values, dict):
            flat = ((each if isinstance(each, list | tuple) else [each]) for each in named.values())
            self[:] = [value for several in flat for value in several]
        self._named = named

    def __getattr__(self, name):
        try:
            return self.__dict__["_named"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __getitem__(self, key):
        return self._named[key] if isinstance(key, str) else super().__getitem__(key)

    def get(self, name, default=None):
        """The value called ``name``, or ``default``."""
        return self._named.get(name, default)

    def items(self):
        """Pairs of name and value, as the ``snakemake`` object has them."""
        return self._named.items()

    def keys(self):
        """The names."""
        return self._named.keys()


class Job:
    """A plain stand-in for the ``snakemake`` object, for calling a script's ``main`` directly."""

    def __init__(self, input=(), output=(), params=(), wildcards=(), threads=1, log=(), resources=()):
        self.input, self.output, self.params = Names(input), Names(output), Names(params)
        self.wildcards, self.log, self.resources = Names(wildcards), Names(log), Names(resources)
        self.threads = threads


def run(main, job):
    """Run ``main(job)``: all output goes to the job's log, progress also to the terminal.

    File descriptors are redirected, not Python's streams, so that C libraries, child processes, warnings and
    tracebacks are in the log too. A StudyError ends the job with its message alone on the terminal. An
    account of the attempt is kept (:mod:`scripts.common.attempts`).
    """
    terminal = os.fdopen(os.dup(2), "w", buffering=1)
    if job.log:
        os.makedirs(os.path.dirname(job.log[0]) or ".", exist_ok=True)
        descriptor = os.open(job.log[0], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        sys.stdout.flush(), sys.stderr.flush()
        os.dup2(descriptor, 1), os.dup2(descriptor, 2)
    sys.stdout.reconfigure(line_buffering=True)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True, format="%(message)s")
    show = logging.StreamHandler(terminal)
    show.setFormatter(logging.Formatter(f"    {_title(job)}: %(message)s"))
    progress.addHandler(show)
    ended = attempts.begin(job)
    try:
        main(job)
    except StudyError as error:
        ended(type(error).__name__)
        traceback.print_exc()
        terminal.write(f"\n{_title(job)} stopped: {error}\n\n")
        sys.exit(1)
    except BaseException as error:
        ended(type(error).__name__)
        if trouble := disks.trouble(error, _folders(job)):
            terminal.write(f"\n{_title(job)} stopped: {trouble}\n\n")
        raise
    ended(attempts.DONE)


def _folders(job):
    """Where a job writes: its outputs, its log, the states of trainings, temporary files."""
    files = [*job.output, *job.log]
    return dict.fromkeys([*(os.path.dirname(each) or "." for each in map(str, files)), ".work", tempfile.gettempdir()])


def _title(job):
    values = [str(value) for _, value in job.wildcards.items()]
    return " ".join([getattr(job, "rule", "job"), *values])
