"""Where jobs run: requests in the words of an executor, and what is done before the first job is submitted.

Nothing here concerns a result, and no rules here.
"""

from scripts.common import disks
from scripts.execution import arrays, groups, pod_logs, queries, requests, runs

# what the executors of clouds want otherwise than the rules say it
for each in workflow.rules:
    requests.translate(each, workflow)
pod_logs.read_failed_containers()


# Called in the process that plans and submits, before its first job; not in dry runs, and not inside of jobs.
onstart:
    try:
        if not workflow.storage_settings.default_storage_provider:
            disks.require_room("results", ".work")
        runs.cancel_orphans(".", study.study)
    except StudyError as error:
        raise WorkflowError(str(error)) from None
    if not workflow.local_exec:
        groups.make_safe(workflow.dag)
    if workflow.executor_plugin.name == "slurm":
        executor = workflow.scheduler._executor  # Snakemake has no public way to it
        runs.record(".", study.study, executor.run_uuid)
        arrays.make_safe(executor)
        queries.make_safe(executor)
