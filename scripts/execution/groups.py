"""Groups of jobs beside checkpoints, made safe: see `make_safe`."""


def make_safe(dag):
    """Put each job into one group, and let groups that have been submitted be when a checkpoint has run.

    Snakemake (9.27) groups all unfinished jobs again and again, after each checkpoint those of running groups too, and
    changes its groups in place. Where a submission holds several components (`group-components`), a job ends up in
    several groups and is submitted with each of them: up to four times as measured, and the run fails. So each time
    the groups are made from nothing, without the jobs of running groups, which keep theirs.
    """
    regroup, needrun = dag.update_groups, dag.needrun_jobs

    def update():
        running = [each for each in dag._running if each.is_group()]
        busy = {job: group for group in running for job in group.jobs}
        dag.group_job_factory.cache.clear()
        dag.needrun_jobs = lambda *args, **named: (job for job in needrun(*args, **named) if job not in busy)
        try:
            regroup()
        finally:
            dag.needrun_jobs = needrun
        dag._group.update(busy)

    dag.update_groups = update
    # what was grouped while the run was planned
    update()
    dag._ready_jobs.clear()
    dag.update_ready()
