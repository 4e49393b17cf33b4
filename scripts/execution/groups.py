"""Groups of jobs beside checkpoints, made safe: see `make_safe`."""


def make_safe(dag):
    """Let the groups that have been submitted be, when the jobs are grouped anew after a checkpoint.

    Snakemake (9.27) groups all unfinished jobs again each time a checkpoint has run, those of running groups too, and
    changes the groups in place. Where a submission holds several components (`group-components`), jobs that are
    running end up in new groups and are submitted again, up to four times as measured, and the run fails. So the jobs
    of a running group are left out, and keep their group.
    """
    regroup, needrun = dag.update_groups, dag.needrun_jobs

    def update():
        running = [each for each in dag._running if each.is_group()]
        busy = {job: group for group in running for job in group.jobs}
        dag.group_job_factory.cache.clear()  # its groups are changed in place
        dag.needrun_jobs = lambda *args, **named: (job for job in needrun(*args, **named) if job not in busy)
        try:
            regroup()
        finally:
            dag.needrun_jobs = needrun
        dag._group.update(busy)

    dag.update_groups = update
