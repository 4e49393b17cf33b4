"""The log of a failed pod, for Snakemake's Kubernetes executor.

The executor (0.5.1) asks the API server for the log of the container's *previous* run. Its pods are never restarted,
so there is none: the server answers 400, the executor takes that for a broken connection, and the first job that
fails ends the whole run, whatever ``retries`` says. :func:`read_failed_containers` lets such a question be answered
with the log of the run that failed.
"""

import functools
import sys
from importlib import import_module


def read_failed_containers():
    """Where a container was never restarted, read its only log. Does nothing unless the executor's plugin is loaded."""
    if "snakemake_executor_plugin_kubernetes" not in sys.modules:
        return
    # by name: it comes with the executor (envs/cloud.in), and no job needs it
    client = import_module("kubernetes.client")
    CoreV1Api, ApiException = client.CoreV1Api, client.ApiException  # noqa: N806
    asked = CoreV1Api.read_namespaced_pod_log
    if hasattr(asked, "__wrapped__"):
        return

    @functools.wraps(asked)
    def read_namespaced_pod_log(self, name, namespace, **options):
        try:
            return asked(self, name, namespace, **options)
        except ApiException as error:
            if error.status != 400 or not options.pop("previous", False):
                raise
            return asked(self, name, namespace, **options)

    CoreV1Api.read_namespaced_pod_log = read_namespaced_pod_log
