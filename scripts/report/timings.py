"""What the benchmark files of Snakemake say, added up by rule. Timings are shown and never judged."""

import csv
from pathlib import Path
from statistics import median

from scripts.common.results import read_json
from scripts.report import html_tables as html

COLUMNS = ("rule", "jobs", "seconds", "median_seconds", "max_seconds", "cpu_seconds", "max_rss_mb")
HEAD = ("rule", "jobs", "seconds in all", "median job", "longest job", "CPU seconds in all", "most memory, MB")


def read(folder):
    """``{job: [{"s", "cpu_time", "max_rss"}, ...]}`` of the tsv files below ``folder``, the repeats of a job each.

    A job is called as its file below ``folder``, without the suffix; the first part names its rule. A figure that
    Snakemake did not get (a job of a blink) is None.
    """
    folder, found = Path(folder), {}
    for path in sorted(folder.rglob("*.tsv")):
        job = path.relative_to(folder).as_posix().removesuffix(".tsv")
        with open(path, newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file, delimiter="\t"):
                figures = {name: _number(line.get(name)) for name in ("s", "cpu_time", "max_rss")}
                if figures["s"] is not None:
                    found.setdefault(job, []).append(figures)
    return found


def read_latencies(folder):
    """``[(stack, content)]`` of the files onnx_latency/<ensemble>/<target>/<timeframe>.json below ``folder``."""
    folder = Path(folder, "onnx_latency")
    return [
        (path.relative_to(folder).with_suffix("").parts, read_json(path)) for path in sorted(folder.rglob("*.json"))
    ]


def totals(jobs):
    """One row of ``COLUMNS`` per rule, the longest in all first, and a last row over all rules."""
    rules = {}
    for job, repeats in jobs.items():
        rules.setdefault(job.split("/")[0], []).extend(repeats)
    rows = sorted((_row(rule, each) for rule, each in rules.items()), key=lambda row: (-row[2], row[0]))
    together = [each for own in jobs.values() for each in own]
    return [*rows, _row("all", together)] if together else []


def peaks(jobs):
    """``{job: MB}``, the most memory that Snakemake saw of a job and its children, where it saw any."""
    found = {job: [each["max_rss"] for each in repeats if each["max_rss"] is not None] for job, repeats in jobs.items()}
    return {job: max(each) for job, each in found.items() if each}


def page(rows, latencies, more=()):
    """The page: time per rule, ``more`` parts, and the latency of the ONNX graphs where there are any."""
    shown = [
        [rule, f"{jobs:,}", *(f"{each:,.1f}" for each in (total, middle, longest)), f"{cpu:,.1f}", _memory(memory)]
        for rule, jobs, total, middle, longest, cpu, memory in rows
    ]
    parts = [
        html.paragraph(
            "Each job's most recent run, as Snakemake measured it. Jobs run side by side, so the sum is longer than "
            "the run took. CPU and memory are sampled: of a job of a second or two little is seen. No gate reads a "
            "time."
        ),
        html.table(HEAD, shown, numbers=range(1, len(HEAD)), total=True),
        *more,
    ]
    if latencies:
        parts += [html.heading("Latency of the composed ONNX graph"), _latency_table(latencies)]
    return html.page("Time per rule", *parts)


def _latency_table(latencies):
    rows = []
    for stack, found in latencies:
        for size, batch in sorted(found["batch"].items(), key=lambda pair: int(pair[0])):
            onnx, native = batch["onnx"], batch["native"]
            times = [onnx["p50_ms"], onnx["p95_ms"], native["p50_ms"], native["p95_ms"]]
            rows.append([" · ".join(stack), size, *(f"{each:.3f}" for each in times), f"{batch['repetitions']:,}"])
    head = ("stack", "rows at once", "ONNX p50, ms", "ONNX p95, ms", "native p50, ms", "native p95, ms", "repetitions")
    return html.table(head, rows, numbers=range(1, len(head)))


def _row(rule, jobs):
    seconds = [each["s"] for each in jobs]
    cpu = sum(each["cpu_time"] or 0 for each in jobs)
    memory = max((each["max_rss"] for each in jobs if each["max_rss"] is not None), default=None)
    return [rule, len(jobs), sum(seconds), median(seconds), max(seconds), cpu, memory]


def _memory(value):
    return None if value is None else f"{value:,.0f}"


def _number(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
