"""Where jobs run: what is done before the first one is submitted. Nothing here concerns a result, and no rules here."""

from scripts.execution import arrays, groups, runs


# Called in the process that plans and submits, before its first job; not in dry runs, and not inside of jobs.
onstart:
    runs.cancel_orphans(".", study.study)
    groups.make_safe(workflow.dag)
    if workflow.executor_plugin.name == "slurm":
        executor = workflow.scheduler._executor  # Snakemake has no public way to it
        runs.record(".", study.study, executor.run_uuid)
        arrays.make_safe(executor)
