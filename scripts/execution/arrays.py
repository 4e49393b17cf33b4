"""Job arrays of the SLURM plugin (2.8.0), made safe: see `make_safe`."""

from itertools import groupby

# besides memory, what jobs that share an array have in common
LIKE = ("runtime", "threads", "gpu", "gpu_model", "gres", "slurm_partition", "slurm_account", "slurm_extra")


def make_safe(executor):
    """Correct two things in how a SLURM executor submits the rules named in `slurm-array-jobs`.

    A job that is handed to it while others of its rule are ready but not handed over (`jobs` is smaller than their
    number) is neither submitted nor given back: the run waits for ever. So all that is handed over is submitted. And
    an array asks for what its first job asks for. So an array is made of jobs that ask for the same, up to a factor
    of two in memory, with the largest request first.
    """
    submit_array, submit_job = executor._submit_array_jobs, executor._submit_job

    def submit_alike(jobs):
        for alike in split(jobs):
            submit_array(alike) if len(alike) > 1 else submit_job(alike[0])

    def run(jobs):
        chosen = [job for job in jobs if not job.is_group() and executor.array_jobs & {job.rule.name, "all"}]
        kept = [job for job in jobs if job not in chosen]
        if kept:
            run_jobs(kept)
        for _, same in groupby(sorted(chosen, key=lambda job: job.rule.name), key=lambda job: job.rule.name):
            submit_alike(list(same))

    run_jobs, executor.run_jobs = executor.run_jobs, run


def split(jobs):
    """The jobs in lists of those that may share an array, each with the largest request of memory first."""
    found = {}
    for job in sorted(jobs, key=memory, reverse=True):
        alike = found.setdefault((job.attempt, *(job.resources.get(name) for name in LIKE)), [])
        if not alike or 2 * memory(job) < memory(alike[-1][0]):
            alike.append([])
        alike[-1].append(job)
    return [array for alike in found.values() for array in alike]


def memory(job):
    """The memory that a job asks for in MB, 0 where it says none."""
    asked = job.resources.get("mem_mb", 0)
    return asked if isinstance(asked, int) else 0
