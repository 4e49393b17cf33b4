"""Time, memory and attempts by rule, and the latency of the ONNX graphs, as a page and as csv."""

import csv
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.common import attempts, objects
from scripts.common.atomic import replacing, write_text
from scripts.common.job import progress, run
from scripts.report import accounting, attempt_table, timings


def main(job):
    """Add up what every rule wrote and none takes as an input: benchmark files, and accounts of attempts."""
    with benchmarks(job) as folder:
        measured, latencies = timings.read(folder), timings.read_latencies(folder)
    rows = timings.totals(measured)
    tries = attempted(Path(job.params.benchmarks).parent.name, timings.peaks(measured))
    more = attempt_table.section(tries) if tries else ()
    write_text(job.output.html, timings.page(rows, latencies, more))
    write_csv(job.output.csv, [timings.COLUMNS, *rows])
    write_csv(job.output.attempts, [attempt_table.COLUMNS, *tries])
    if rows:
        longest, (_, jobs, seconds, *_) = rows[0], rows[-1]
        progress.info("%d jobs, %.0f seconds, the most of them in %s", jobs, seconds, longest[0])


def attempted(study, peaks):
    """The rows of :mod:`scripts.report.attempt_table`, without this very job, which has not ended."""
    accounts = attempts.read_all(study)
    accounts.pop("tabulate_times", None)
    ids = [each.slurm_job for tries in accounts.values() for each in tries if each.slurm_job]
    return attempt_table.totals(accounts, peaks, accounting.allocations(ids))


def write_csv(path, rows):
    """Write rows as csv."""
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


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
