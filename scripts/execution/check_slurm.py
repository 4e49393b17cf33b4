"""Whether a planned study can run on the cluster of this machine, and what to put into the profile.

snakemake --dry-run --profile slurm | python -m scripts.execution.check_slurm profiles/slurm
"""

import os
import sys
from collections import Counter

from scripts.common.errors import StudyError
from scripts.execution.demands import read_demands, read_profile
from scripts.execution.sites import read_site

GRES = "its profile lines are in docs/execution.md"


def check(site, profile, demands):
    """``(report, problems)``: what was found as lines of text, and what cannot work as sentences."""
    problems = [
        *partition_problems(site, profile),
        *account_problems(site, profile),
        *limit_problems(site, profile),
        *job_problems(site, profile, demands),
        *group_problems(site, profile, demands),
    ]
    return [*site_lines(site), "", *plan_lines(profile, demands), *notes(site, profile, demands)], problems


def partition_problems(site, profile):
    """Partitions of the profile that the cluster does not have, that have no node, or fewer GPUs than is said."""
    for partition in profile.partitions:
        name, nodes = partition.name, site.nodes_of(partition.name)
        if name not in site.partitions:
            yield f"{profile.path}: there is no partition {name!r} here. There are: {', '.join(site.partitions)}."
        elif not nodes:
            yield f"Partition {name!r} has no node that takes jobs now (see sinfo)."
        elif partition.limits.max_gpu > max(node.gpu_count for node in nodes):
            most = max(node.gpu_count for node in nodes)
            yield (
                f"{profile.path}: max_gpu of {name!r} is {partition.limits.max_gpu}, "
                f"its nodes have at most {most} GPUs."
            )


def account_problems(site, profile):
    """An account that is not the user's, or none where the cluster wants one."""
    account = profile.default_resources.get("slurm_account")
    known = ", ".join(site.accounts) or "none"
    if account and site.accounts and str(account).lower() not in site.accounts:
        yield f"slurm_account: {account} is no account of yours. Yours: {known}."
    if not account and site.account_needed and not site.default_account:
        yield f"Jobs need an account here and you have no default one: set slurm_account. Yours: {known}."


def limit_problems(site, profile):
    """Settings of the profile against limits of the cluster."""
    settings = profile.settings
    if site.limit is not None and settings.get("jobs", 1) > site.limit:
        yield f"jobs: {settings['jobs']} is more than the {site.limit} that you may submit: set jobs: {site.limit}."
    first = settings.get("slurm-init-seconds-before-status-checks", 40)
    if settings.get("slurm-status-command") == "squeue" and site.min_job_age < 3 * first:
        yield (
            f"squeue forgets jobs {site.min_job_age} s after their end (MinJobAge), less than three times "
            f"slurm-init-seconds-before-status-checks ({first}): the plugin then asks sacct, blind to cancelled jobs."
        )
    if settings.get("slurm-array-jobs") and int(site.settings.get("MaxArraySize", 1001)) < 3:
        yield "This cluster has no job arrays (MaxArraySize): take slurm-array-jobs out of the profile."


def job_problems(site, profile, demands):
    """Rules with a job that no node of its partition can ever take."""
    told = set()
    for demand in sorted(demands, key=lambda each: each.wildcards):
        partition = profile.partition_of(demand) or site.default_partition
        reason = misfit(site, partition, demand)
        if reason and (demand.rule, partition) not in told:
            told.add((demand.rule, partition))
            wildcards = f" ({demand.wildcards})" if demand.wildcards else ""
            yield f"{demand.rule}{wildcards} can never be scheduled: {reason}"


def misfit(site, partition, demand):
    """Why no node of a partition takes a job, None where one does."""
    if demand.gpus and not str(site.settings.get("SelectType", "")).endswith("cons_tres") and "gpu" in demand.resources:
        return f"it asks by --gpus, which SelectType={site.settings.get('SelectType')} does not know; for gres {GRES}."
    nodes = site.nodes_of(partition)
    if not nodes:
        return f"partition {partition!r} has no node that takes jobs." if partition else "no partition takes it."
    model = demand.resources.get("gpu_model")
    if demand.gpus and model and not any(model in node.gpus for node in nodes):
        found = sorted({name or "GPU" for node in nodes for name in node.gpus})
        return f"it asks for a GPU {model!r}, partition {partition!r} has: {', '.join(found)}."
    asked = {"threads": demand.threads, "MB of memory": demand.memory or 0, "GPUs": demand.gpus}
    most = {"threads": "cpus", "MB of memory": "memory", "GPUs": "gpu_count"}
    for what, number in asked.items():
        found = max(getattr(node, most[what]) for node in nodes)
        if number > found:
            return f"it asks for {number} {what}, the nodes of partition {partition!r} have at most {found}."
    if demand.minutes > max(node.minutes for node in nodes):
        limit = max(node.minutes for node in nodes)
        return f"it asks for {demand.minutes} minutes, partition {partition!r} ends jobs after {limit:.0f}."
    if not any(all(getattr(node, most[what]) >= number for what, number in asked.items()) for node in nodes):
        return f"no single node of partition {partition!r} has all of {asked}."
    return None


def group_problems(site, profile, demands):
    """Groups of small jobs that are larger than any node."""
    for group, rules in profile.groups().items():
        members = [demand for demand in demands if demand.rule in rules]
        if not members:
            continue
        width, partition = profile.group_width(group), profile.partition_of(members[0]) or site.default_partition
        width = min(width, len(members))
        threads = width * max(demand.threads for demand in members)
        memory = width * max(demand.memory or 0 for demand in members)
        nodes = site.nodes_of(partition)
        if nodes and not any(node.cpus >= threads and node.memory >= memory for node in nodes):
            most = max(nodes, key=lambda node: (node.cpus, node.memory))
            yield (
                f"{width} jobs of group {group!r} side by side ask for {threads} threads and {memory} MB, a node of "
                f"partition {partition!r} has {most.cpus} and {most.memory}: set a smaller cores."
            )


def site_lines(site):
    """The cluster in a few lines, and the file of partitions that it needs."""
    lines = [f"Cluster {site.settings.get('ClusterName', '?')}, SLURM {site.settings.get('SLURM_VERSION', '?')}"]
    for name in site.partitions:
        nodes = site.nodes_of(name)
        if not nodes:
            lines.append(f"  {name}: no node that takes jobs")
            continue
        shapes = Counter((node.cpus, node.memory, *sorted(node.gpus.items())) for node in nodes)
        told = [
            f"{count} x {cpus} CPUs {memory} MB" + gpu_text(gpus) for (cpus, memory, *gpus), count in shapes.items()
        ]
        default = " (default)" if name == site.default_partition else ""
        lines.append(f"  {name}{default}: {'; '.join(told)}; at most {time_text(nodes[0].minutes)}")
    lines += [f"  accounts of yours: {', '.join(site.accounts) or 'none'}; default: {site.default_account or 'none'}"]
    return [*lines, "", "profiles/slurm/partitions.yaml for it:", *partitions_file(site)]


def partitions_file(site):
    """The lines of a partitions.yaml with the cluster's partitions."""
    lines = ["  partitions:"]
    for name in site.partitions:
        gpus = max((node.gpu_count for node in site.nodes_of(name)), default=0)
        lines += [f"    {name}:", f"      max_gpu: {gpus}"] if gpus else [f"    {name}: {{}}"]
    return lines


def plan_lines(profile, demands):
    """The plan by rule: jobs, partition, and the most that one of them asks for."""
    if not demands:
        return ["Every artifact of the study is up to date: there is no job to look at."]
    lines = [f"{'rule':<22}{'jobs':>6}  {'partition':<12}{'threads':>8}{'MB':>9}{'minutes':>9}{'GPUs':>6}"]
    for rule in dict.fromkeys(demand.rule for demand in demands):
        jobs = [demand for demand in demands if demand.rule == rule]
        partitions = ", ".join(sorted({str(profile.partition_of(job) or "default") for job in jobs}))
        known = [job.memory for job in jobs if job.memory is not None]
        memory = f"{max(known)}" + ("+" if len(known) < len(jobs) else "") if known else "?"
        most = [max(getattr(job, name) for job in jobs) for name in ("threads", "minutes", "gpus")]
        lines.append(f"{rule:<22}{len(jobs):>6}  {partitions:<12}{most[0]:>8}{memory:>9}{most[1]:>9}{most[2]:>6}")
    return [*lines, *gpu_hours(demands)]


def gpu_hours(demands):
    """How many GPU hours the planned jobs may take, by their time limits; nothing where none asks for a GPU."""
    jobs = [demand for demand in demands if demand.gpus]
    known = [job for job in jobs if job.minutes]
    if jobs:
        hours = sum(job.gpus * job.minutes for job in known) / 60
        rest = (
            f"; {len(jobs) - len(known)} more have a limit once their inputs are there"
            if len(known) < len(jobs)
            else ""
        )
        yield f"GPU hours, if each job took its whole time limit: {hours:.1f} of {len(known)} jobs{rest}."


def notes(site, profile, demands):
    """What works, and should be known."""
    if any(demand.memory is None for demand in demands):
        yield "?, +: memory follows from inputs that are not there yet; looked at again when the job is submitted."
    yield "Jobs below a checkpoint (folds, trainings) are planned once it has run: then run this check again."
    if any(node.gpu_count for node in site.nodes) and not any(demand.gpus for demand in demands):
        yield "No planned job asks for a GPU, and the cluster has some: a study asks for them with `device: cuda`."
    if not site.accounting:
        yield "There is no accounting: slurm-efficiency-report stays empty."
    if "SLURM_CONF" in os.environ:
        yield (
            "SLURM_CONF is set: inside of jobs the plugin drops it, so srun must find the cluster without it "
            "(/etc/slurm/slurm.conf, or a wrapper of srun on PATH that sets it)."
        )


def gpu_text(gpus):
    """GPUs of a node in words."""
    return "".join(f" {number} {model or 'GPU'}".rstrip() for model, number in gpus)


def time_text(minutes):
    """A time limit in words."""
    return "no time limit" if minutes == float("inf") else f"{minutes:.0f} minutes"


def main(folder, text):
    """Print the check of the plan in ``text`` against the profile in ``folder``; returns the exit status."""
    report, problems = check(read_site(), read_profile(folder), read_demands(text))
    print("\n".join(report))
    print()
    print("\n".join(f"PROBLEM: {each}" for each in problems) or "Everything that is planned can run here.")
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1], sys.stdin.read()))
    except StudyError as error:
        sys.exit(str(error))
