"""The failure records of the study's trainings as a page."""

from pathlib import Path

from scripts.common.atomic import write_text
from scripts.common.job import progress, run
from scripts.common.training import failures
from scripts.report import failure_table


def main(job):
    """Read all records below the study's results folder: failed jobs write them, so none is an input."""
    records = failures.read_all(Path(job.output.html).parents[1])
    write_text(job.output.html, failure_table.page(records))
    still = sum(not record["resolved"] for record in records)
    if still:
        progress.info("%d failed trainings are not resolved", still)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
