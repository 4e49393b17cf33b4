"""The status queries of the SLURM plugin (2.8.0), made safe: see `make_safe`."""

import sys


def make_safe(executor):
    """Let a SLURM executor remember how long the controller keeps ended jobs.

    Before each look at its jobs the plugin asks the controller for that (MinJobAge), and where it gets no answer it
    asks the accounting for the jobs' states instead of squeue. While a controller restarts and the accounting is down
    as well, that look hangs in its retries for minutes. So what the controller has said once counts until the end.
    """
    plugin = sys.modules[type(executor).__module__]
    ask, known = plugin.get_min_job_age, []

    def remembered():
        if not known and (age := ask()) is not None:
            known.append(age)
        return known[0] if known else None

    plugin.get_min_job_age = remembered
    remembered()
