"""What the jobs of a planned study ask for, and which partition of the profile each of them goes to."""

import logging
import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from scripts.common import devices
from scripts.common.errors import StudyError

TARGETS = ("all", "plans", "checks")


@dataclass(frozen=True)
class Demand:
    """A job: its rule and what it asks for. ``resources`` holds numbers; one that is not known yet is left out."""

    rule: str
    wildcards: str
    threads: int
    resources: dict = field(hash=False)

    @property
    def name(self):
        """As the plugin calls a job."""
        return self.rule

    @property
    def memory(self):
        """Memory in MB, None where it follows from inputs that are not there yet."""
        return self.resources.get("mem_mb")

    @property
    def minutes(self):
        """The time limit of the job."""
        return self.resources.get("runtime", 0)

    @property
    def gpus(self):
        """How many GPUs the job asks for, by `gpu` or by `gres`."""
        return devices.asked(self.resources)


def read_demands(text):
    """The jobs of the output of `snakemake --dry-run`.

    Raises StudyError, with the output as its message, when that is not a dry run's.
    """
    found = []
    # jobs of a group are indented
    for block in re.split(r"\n *(?=(?:local)?(?:rule|checkpoint) \w+:\n)", text)[1:]:
        rule = re.match(r"(?:local)?(?:rule|checkpoint) (\w+):", block)[1]
        said = dict(re.findall(r"^ {4,8}(\w+): (.*)$", block, re.M))
        if rule not in TARGETS:
            pairs = [pair.split("=", 1) for pair in said.get("resources", "").split(", ") if "=" in pair]
            known = {name: int(value) if value.isdigit() else value for name, value in pairs if "<TBD>" not in value}
            found.append(Demand(rule, said.get("wildcards", ""), int(said.get("threads", 1)), known))
    if not found and "Nothing to be done" not in text:
        raise StudyError(text.strip() or "the dry run printed nothing")
    return found


@dataclass(frozen=True)
class Profile:
    """A profile of a site: its settings, and its partitions as the plugin reads them."""

    settings: dict
    partitions: tuple
    path: Path

    @property
    def default_resources(self):
        """What jobs get that their rules do not say."""
        return self.settings.get("default-resources", {})

    def partition_of(self, demand):
        """The name of the partition that the plugin chooses for a job, None where none of the profile's takes it."""
        from snakemake_executor_plugin_slurm.partitions import get_best_partition

        named = demand.resources.get("slurm_partition")
        return named or get_best_partition(self.partitions, demand, logging.getLogger("partitions"))

    def groups(self):
        """``{group: its rules}``."""
        found = {}
        for rule, group in self.settings.get("groups", {}).items():
            found.setdefault(group, []).append(rule)
        return found

    def group_width(self, group):
        """How many jobs of a group run side by side."""
        return min(self.settings.get("group-components", {}).get(group, 1), self.settings.get("cores", 10**6))


def read_profile(folder):
    """The profile in ``folder``. Raises StudyError where it, or its file of partitions, cannot be read."""
    from snakemake_executor_plugin_slurm.partitions import read_partition_file
    from snakemake_interface_common.exceptions import WorkflowError

    try:
        settings = yaml.safe_load(Path(folder, "config.yaml").read_text())
        path = Path(folder, settings.get("slurm-partition-config", "partitions.yaml"))
        partitions = tuple(read_partition_file(path))
    except (OSError, yaml.YAMLError, WorkflowError, TypeError, KeyError, AttributeError) as error:
        raise StudyError(f"{folder}: the profile cannot be read: {error}") from None
    return Profile(settings, partitions, path)
