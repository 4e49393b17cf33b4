"""Features of one symbol for one period."""

from scripts.common.atomic import write_table
from scripts.common.job import run
from scripts.common.periods import bounds
from scripts.market import bars, features
from scripts.market.resampling import resample


def main(job):
    """Read the period's bars and the lookback before it, compute, and keep the rows of the period."""
    start, end = bounds(job.wildcards.period)
    own = bars.read(job.input[0], job.params.start, end)
    own = resample(own, job.params.timeframe, job.wildcards.timeframe)
    table = features.load(job.wildcards.features).compute(own)
    table.insert(0, "timestamp", own["timestamp"])
    write_table(job.output[0], table[own["timestamp"] >= start].reset_index(drop=True))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
