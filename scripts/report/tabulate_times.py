"""Time and memory by rule, and the latency of the ONNX graphs, as a page and as csv."""

import csv
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.common import objects
from scripts.common.atomic import replacing, write_text
from scripts.common.job import progress, run
from scripts.report import timings


def main(job):
    """Add up the benchmark files of the study: every rule writes one, and none is an input."""
    with benchmarks(job) as folder:
        rows = timings.totals(timings.read(folder))
        write_text(job.output.html, timings.page(rows, timings.read_latencies(folder)))
    with replacing(job.output.csv) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([timings.COLUMNS, *rows])
    if rows:
        longest, (_, jobs, seconds, *_) = rows[0], rows[-1]
        progress.info("%d jobs, %.0f seconds, the most of them in %s", jobs, seconds, longest[0])


@contextmanager
def benchmarks(job):
    """The folder of the benchmark files, or one with copies of them where they are objects."""
    place = objects.at_home(job.params.benchmarks)
    if not objects.is_address(place):
        yield place
        return
    with TemporaryDirectory() as folder:
        stored = objects.Folder(place)
        for path in stored.sizes():
            if path.endswith((".tsv", ".json")):
                stored.fetch(path, Path(folder, path))
        yield folder


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
