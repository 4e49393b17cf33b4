"""Features that look across all symbols of a market, for one period."""

from scripts.common.atomic import write_table
from scripts.common.job import run
from scripts.common.periods import bounds
from scripts.market import bars, features, panel_inputs
from scripts.market.resampling import resample


def main(job):
    """Read all symbols' bars of the period and the lookback before it, compute, and keep the rows of the period."""
    start, end = bounds(job.wildcards.period)
    panel = {}
    for symbol, path in zip(job.params.symbols, job.input.bars, strict=True):
        own = bars.read(path, job.params.start, end)
        panel[symbol] = resample(own, job.params.timeframe, job.wildcards.timeframe)
    inputs = panel_inputs.read(job.params.inputs, job.input, panel, job.wildcards.timeframe)
    table = features.load(job.wildcards.features).compute(panel, **inputs)
    write_table(job.output[0], table[table["timestamp"] >= start].reset_index(drop=True))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
