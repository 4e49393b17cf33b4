"""What a job asks for, in the words that the executor at hand reads.

A rule states ``threads``, ``mem_mb`` (megabytes), ``runtime`` (minutes) and ``gpu`` (a number; 0 is none). Snakemake
itself and the plugin for SLURM read these. The plugins of the clouds do not all:

- kubernetes takes ``gpu: 0`` for a request: the pod may then go to the nodes with GPUs, and only where there are some.
- googlebatch reads ``googlebatch_memory`` (MiB), ``googlebatch_cpu_milli``, ``googlebatch_max_run_duration`` and
  ``nvidia_gpu``; without them every job gets 1000 MiB, one core and an hour.
- aws-batch reads ``_gpus``, and knows memory and cores from a table only: other memory becomes the least of the table.

:func:`translate` adds these names to a rule. They have a value only while that executor runs the jobs (Snakemake drops
resources without one), so nobody else sees them; resources are no reason to rerun a job.
"""

import functools
import math
from importlib import import_module
from importlib.util import find_spec

from snakemake.common.tbdstring import TBDString
from snakemake.resources import Resource

from scripts.common.errors import StudyError

# The whole, and what of it may be missing, of a rule's request
MEMORY, CORES, MINUTES, GPUS, MODEL = "mem_mb", "_cores", "runtime", "gpu", "gpu_model"


class UnknownYetError(Exception):
    """A request follows from inputs that are not there yet."""


def mebibytes(megabytes):
    """Megabytes as whole MiB, rounded up."""
    return math.ceil(megabytes * 10**6 / 2**20)


def google_gpus(number, model):
    """``nvidia_gpu`` of Google Batch: a number of its default model, or one of the model that is named."""
    if not number:
        return None
    if model is None:
        return number
    if number > 1:
        raise StudyError(
            f"a job asks for {number} GPUs of model '{model}': the plugin googlebatch can ask for one GPU of a named "
            "model, or for several of its default one (nvidia-tesla-t4); name no model, or ask for one GPU"
        )
    return model


def batch_size(megabytes, cores):
    """``(MiB, cores)`` of AWS Batch: the smallest entry of the plugin's table that holds a job's memory and cores."""
    # by name: it comes with the executor (envs/cloud.in), and no job needs it
    table = import_module("snakemake_executor_plugin_aws_batch.constant").VALID_RESOURCES_MAPPING

    asked = mebibytes(megabytes)
    fitting = [(memory, each) for memory, known in table.items() for each in known if memory >= asked and each >= cores]
    if not fitting:
        raise StudyError(
            f"a job asks for {asked} MiB and {cores} cores: the plugin aws-batch offers {max(table)} MiB and "
            f"{max(max(known) for known in table.values())} cores at most; run this study on another executor"
        )
    return min(fitting)


# executor -> resource -> (what of the rule's own request it follows from, its value by `ask`, which gives that by name)
WORDS = {
    "kubernetes": {"gpu": (GPUS, lambda ask: ask(GPUS) or None)},
    "googlebatch": {
        "googlebatch_memory": (MEMORY, lambda ask: mebibytes(ask(MEMORY))),
        "googlebatch_cpu_milli": (CORES, lambda ask: 1000 * ask(CORES)),
        "googlebatch_max_run_duration": (MINUTES, lambda ask: f"{60 * ask(MINUTES)}s"),
        "nvidia_gpu": (GPUS, lambda ask: google_gpus(ask(GPUS), ask(MODEL))),
    },
    "aws-batch": {
        "mem_mb": (MEMORY, lambda ask: batch_size(ask(MEMORY), ask(CORES))[0]),
        "_cores": (MEMORY, lambda ask: batch_size(ask(MEMORY), ask(CORES))[1]),
        "_gpus": (GPUS, lambda ask: ask(GPUS) or None),
    },
}
OWN = {MEMORY, CORES, MINUTES, GPUS, MODEL}


def translate(rule, workflow):
    """Let ``rule`` answer in the words of the executor that ``workflow`` runs its jobs with.

    A resource that the rule, a profile or the command line sets under the executor's own name stays as it is.
    """
    asked = {name: rule.resources[name] for name in rule.resources}
    # who has none of these plugins pays nothing: each of these functions is asked for each job of a plan
    for executor in filter(is_installed, WORDS):
        for name, (source, word) in WORDS[executor].items():
            if source in asked and (name in OWN or name not in asked):
                rule.resources[name] = Resource(name, _answer(workflow, executor, word, asked, name))


@functools.cache
def is_installed(executor):
    """Whether there is a plugin for an executor."""
    return find_spec(f"snakemake_executor_plugin_{executor.replace('-', '_')}") is not None


def _answer(workflow, executor, word, asked, name):
    """The function that gives a job's resource ``name``; its arguments are those of Snakemake's resource functions."""

    def answer(wildcards, input, attempt, threads=None, rulename=None, async_run=None):
        given = {"input": input, "attempt": attempt, "threads": threads, "rulename": rulename, "async_run": async_run}

        def ask(own):
            if own not in asked:
                return None
            value = asked[own].evaluate(wildcards, **given).value
            if isinstance(value, TBDString):
                raise UnknownYetError
            return value

        plugin = workflow.executor_plugin
        try:
            return word(ask) if plugin is not None and plugin.name == executor else ask(name)
        except UnknownYetError:
            return ask(CORES) if name == CORES else TBDString()

    return answer
