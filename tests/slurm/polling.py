"""Snakemake with a plugin that asks for its jobs every second: it adds 10 s after each poll that found nothing ended.

Run as a file, in place of `python -m snakemake`; nothing else is changed.
"""

import signal
import sys

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

SECONDS = 1.0

if __name__ == "__main__":
    # a shell that starts the tests in the background has its children ignore it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    Executor.next_seconds_between_status_checks = property(lambda self: SECONDS, lambda self, value: None)
    sys.exit(main(sys.argv[1:]))
