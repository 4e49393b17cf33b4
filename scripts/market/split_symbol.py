"""A symbol's bars as a train and a test file."""

from scripts.common.atomic import write_table
from scripts.common.errors import StudyError
from scripts.common.job import progress, run
from scripts.market import bars


def main(job):
    """The last ``test`` rows are the test file, all before them the train file."""
    frame, test, symbol = bars.read(job.input.bars), job.params.test, job.wildcards.symbol
    if len(frame) <= test:
        raise StudyError(
            f"split: {symbol} has {len(frame)} bars, and the test file alone takes {test}; lower split.test"
        )
    write_table(job.output.train, frame.iloc[:-test])
    write_table(job.output.test, frame.iloc[-test:])
    progress.info("%d rows to train on, %d to test on", len(frame) - test, test)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
