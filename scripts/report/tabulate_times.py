"""Time and memory by rule, and the latency of the ONNX graphs, as a page and as csv."""

import csv
from pathlib import Path

from scripts.common.atomic import replacing, write_text
from scripts.common.job import progress, run
from scripts.report import timings


def main(job):
    """Add up the benchmark files below the output's folder: every rule writes one, and none is an input."""
    folder = Path(job.output.html).parent
    rows = timings.totals(timings.read(folder))
    write_text(job.output.html, timings.page(rows, timings.read_latencies(folder)))
    with replacing(job.output.csv) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([timings.COLUMNS, *rows])
    if rows:
        longest, (_, jobs, seconds, *_) = rows[0], rows[-1]
        progress.info("%d jobs, %.0f seconds, the most of them in %s", jobs, seconds, longest[0])


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
