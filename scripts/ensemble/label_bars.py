"""Labels of one target for one period."""

from scripts.common.atomic import write_table
from scripts.common.job import run
from scripts.common.periods import bounds, stamp
from scripts.common.timeframes import duration
from scripts.market import bars, labels
from scripts.market.resampling import resample


def main(job):
    """Label the bars that ``params.read`` spans and keep the rows of the period; nothing at or after its end is read.

    A coarse bar that the end of the span cuts is left out: it would end labels at a price of its middle.
    """
    start, end = bounds(job.wildcards.period)
    read = job.params.read
    target = bars.read(job.input[0], read["start"], read["end"])
    target = resample(target, job.params.timeframe, job.wildcards.timeframe)
    target = target[target["timestamp"] + duration(job.wildcards.timeframe) <= stamp(read["end"])].reset_index(
        drop=True
    )
    table = labels.label(target, job.params.label)
    inside = (table["timestamp"] >= start) & (table["timestamp"] < end)
    write_table(job.output[0], table[inside].reset_index(drop=True))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
