"""What it took to make the study, rule by rule: attempts, queue, memory against request, GPU time.

What nobody measured is None, and a dash on the page; it is never counted as zero.
"""

from statistics import median

from scripts.common.attempts import DONE
from scripts.report import html_tables as html

COLUMNS = (
    "rule",
    "jobs",
    "attempts",
    "failed",
    "killed",
    "queue_median_s",
    "queue_max_s",
    "run_s",
    "lost_s",
    "peak_mb",
    "request_mb",
    "peak_share",
    "gpu_hours",
)
HEAD = (
    "rule",
    "jobs",
    "attempts",
    "failed",
    "killed",
    "median queue, s",
    "longest queue, s",
    "run in all, s",
    "lost in all, s",
    "peak, MB",
    "request, MB",
    "peak of request",
    "GPU hours",
)


def totals(accounts, peaks, allocations):
    """One row of ``COLUMNS`` per rule, by name, and a last row over all rules.

    ``accounts``: ``{job: attempts}`` of :func:`scripts.common.attempts.read_all`; ``peaks``: ``{job: MB}`` that
    Snakemake sampled, children included; ``allocations``: ``{SLURM job: Allocation}``.
    """
    rules = {}
    for job, tries in accounts.items():
        if tries:
            rules.setdefault(job.split("/")[0], {})[job] = tries
    rows = [_row(rule, jobs, peaks, allocations) for rule, jobs in sorted(rules.items())]
    together = {job: tries for jobs in rules.values() for job, tries in jobs.items()}
    return [*rows, _row("all", together, peaks, allocations)] if rows else []


def section(rows):
    """The parts of a page that show the rows."""
    shown = [
        [row[0], *map(_count, row[1:5]), *map(_count, row[5:11]), _share(row[11]), _hours(row[12])] for row in rows
    ]
    return [
        html.heading("Attempts, queue and memory"),
        html.paragraph(
            "Each job since its outputs were last whole. Killed: an attempt that never wrote its end. The queue is "
            "known where SLURM keeps accounts. Lost: time of attempts that did not end well. Peak, request and share "
            "are those of the job that came closest to its request; memory that only the scheduler sees (Snakemake "
            "itself, about 300 MB in a SLURM job) is not in them. A dash: nobody measured it."
        ),
        html.table(HEAD, shown, numbers=range(1, len(HEAD)), total=True),
    ]


def _row(rule, jobs, peaks, allocations):
    tries = [each for own in jobs.values() for each in own]
    done, failed, killed = _by_outcome(tries)
    queues = {each.slurm_job: allocations[each.slurm_job].queued for each in tries if each.slurm_job in allocations}
    queues = [each for each in queues.values() if each is not None]
    lost = [each.seconds for each in failed] + [_until_killed(each, allocations) for each in killed]
    used = [_memory(job, own, peaks) for job, own in jobs.items()]
    peak, request = max((pair for pair in used if all(pair)), key=lambda pair: pair[0] / pair[1], default=(None, None))
    gpu = [(each.request["gpu"], _seconds(each, allocations)) for each in tries if each.request.get("gpu")]
    return [
        rule,
        len(jobs),
        len(tries),
        len(failed),
        len(killed),
        median(queues) if queues else None,
        max(queues, default=None),
        sum(each.seconds for each in done) if done else None,
        None if None in lost else sum(lost),
        peak,
        request,
        peak / request if peak else None,
        None if any(each is None for _, each in gpu) else sum(number * each for number, each in gpu) / 3600,
    ]


def _by_outcome(tries):
    """Attempts that ended well, that failed, and that have no end."""
    done = [each for each in tries if each.outcome == DONE]
    failed = [each for each in tries if each.outcome not in (DONE, None)]
    return done, failed, [each for each in tries if each.outcome is None]


def _until_killed(each, allocations):
    """How long an attempt without an end ran, by the scheduler's account, or None."""
    known = allocations.get(each.slurm_job)
    return max(0.0, known.end - each.start) if known and known.end is not None else None


def _memory(job, tries, peaks):
    """Peak and request of a job's last attempt that ended well, each None where it is unknown."""
    last = next((each for each in reversed(tries) if each.outcome == DONE), None)
    if last is None:
        return None, None
    measured = [each for each in (last.peak_mb, peaks.get(job)) if each is not None]
    return max(measured, default=None), last.request.get("mem_mb")


def _seconds(each, allocations):
    return _until_killed(each, allocations) if each.seconds is None else each.seconds


def _count(value):
    return None if value is None else f"{value:,.0f}"


def _share(value):
    return None if value is None else f"{value:.0%}"


def _hours(value):
    return None if value is None else f"{value:.2f}"
