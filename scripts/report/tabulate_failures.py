"""The failure records of the study's trainings as a page."""

from scripts.common.atomic import write_text
from scripts.common.job import progress, run
from scripts.common.training import failures
from scripts.report import failure_table


def main(job):
    """Read all records below the study's folder on disk: failed jobs write them there, so none is an input."""
    records = failures.read_all(job.params.study)
    write_text(job.output.html, failure_table.page(records))
    still = sum(not record["resolved"] for record in records)
    if still:
        progress.info("%d failed trainings are not resolved", still)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
