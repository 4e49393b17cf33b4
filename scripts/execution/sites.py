"""What a SLURM cluster offers, as its clients tell it: nodes, partitions, limits, accounts."""

import getpass
import re
from dataclasses import dataclass

from scripts.common.errors import StudyError
from scripts.execution.clients import ask

# states of a node in which it takes jobs now or when it is free again
FIT = ("idle", "mixed", "allocated", "completing", "reserved", "planned", "idle~", "allocated~", "mixed~")


@dataclass(frozen=True)
class Node:
    """A node in one of its partitions; memory in MB, minutes are the partition's time limit (inf where none)."""

    name: str
    partition: str
    state: str
    cpus: int
    memory: int
    gpus: dict[str, int]  # model: number; "" where the site names no model
    minutes: float

    @property
    def gpu_count(self):
        """How many GPUs the node has."""
        return sum(self.gpus.values())

    @property
    def takes_jobs(self):
        """Whether the node is up; down, drained and failed ones are not."""
        return self.state.rstrip("~#+*^%$@-").lower() in FIT and not self.state.endswith("*")


@dataclass(frozen=True)
class Site:
    """A cluster. ``settings`` is what `scontrol show config` says; ``limit`` the jobs a user may have submitted."""

    nodes: tuple[Node, ...]
    default_partition: str | None
    settings: dict[str, str]
    accounts: tuple[str, ...]
    default_account: str | None
    limit: int | None

    @property
    def partitions(self):
        """The names of the partitions."""
        return list(dict.fromkeys(node.partition for node in self.nodes))

    def nodes_of(self, partition):
        """The nodes of a partition that take jobs."""
        return [node for node in self.nodes if node.partition == partition and node.takes_jobs]

    @property
    def accounting(self):
        """Whether finished jobs are kept in a database (sacct)."""
        return self.settings.get("AccountingStorageType", "").endswith("slurmdbd")

    @property
    def account_needed(self):
        """Whether a job without a valid account is refused."""
        return bool(re.search("associations|limits|qos|safe", self.settings.get("AccountingStorageEnforce", "")))

    @property
    def min_job_age(self):
        """For how many seconds squeue knows a job that has ended."""
        return int(re.match(r"\d+", self.settings.get("MinJobAge", "0"))[0])


def read_site():
    """Ask the cluster of this machine. Raises StudyError where there is none, or where it does not answer."""
    listed = ask("sinfo", "--Node", "--noheader", "--format", "%N|%P|%T|%c|%m|%G|%l")
    nodes, default = [], None
    for line in listed.splitlines():
        name, partition, state, cpus, memory, gres, limit = line.strip().split("|")
        if partition.endswith("*"):
            default = partition = partition.rstrip("*")
        nodes.append(Node(name, partition, state, int(cpus), int(memory.rstrip("+")), gpus_of(gres), minutes_of(limit)))
    if not nodes:
        raise StudyError("sinfo lists no node: the cluster has none that this user may see.")
    shown = ask("scontrol", "show", "config")
    settings = dict(re.findall(r"^(\w+)\s*= ?(.*?)\s*$", shown, re.M))
    site = Site(tuple(nodes), default, settings, (), None, None)
    if not site.accounting:
        return site
    user = getpass.getuser()
    rows = ask("sacctmgr", "-nP", "show", "assoc", f"user={user}", "format=Account,MaxSubmitJobs").split()
    found = [row.split("|") for row in rows]
    first = ask("sacctmgr", "-nP", "show", "user", user, "format=DefaultAccount").strip()
    limits = [int(limit) for _, limit in found if limit.isdigit()]
    accounts = tuple(dict.fromkeys(account for account, _ in found))
    return Site(tuple(nodes), default, settings, accounts, first or None, min(limits, default=None))


def gpus_of(gres):
    """``{model: number}`` of what sinfo shows as a node's gres, such as ``gpu:a100:4(S:0-1),shard:8``."""
    found = {}
    for entry in re.sub(r"\([^)]*\)", "", gres).split(","):
        kind, *rest = entry.split(":")
        if kind == "gpu":
            number = int(rest.pop()) if rest and rest[-1].isdigit() else 1
            model = rest[0] if rest else ""
            found[model] = found.get(model, 0) + number
    return found


def minutes_of(limit):
    """A time limit as SLURM prints it in minutes: ``2-00:00:00``, ``1:30:00``, ``30:00``, ``infinite``."""
    if not re.fullmatch(r"(\d+-)?[\d:]+", limit):
        return float("inf")
    days, _, clock = limit.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if days:  # D-HH[:MM[:SS]]
        hours, minutes, seconds = (parts + [0, 0])[:3]
    else:  # [HH:]MM:SS
        hours, minutes, seconds = ([0, 0, *parts])[-3:]
    return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60
