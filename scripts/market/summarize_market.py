"""What is known about a market's data: quality, summary, metadata, and all rows that were kept out."""

from scripts.common.atomic import replacing, write_json, write_table
from scripts.common.errors import StudyError
from scripts.common.job import progress, run
from scripts.common.results import read_json, write_result
from scripts.market import bars, surveys
from scripts.market.findings import counts


def main(job):
    """Join accounts, bars and quarantines of all symbols."""
    import pandas as pd

    symbols, timeframe, calendar = list(job.params.symbols), job.params.timeframe, job.params.calendar
    accounts = [read_json(path) for path in job.input.accounts]
    closes, metadata = {}, {}
    for symbol, path, account in zip(symbols, job.input.bars, accounts, strict=True):
        frame = bars.read(path)
        closes[symbol] = frame.set_index("timestamp")["close"]
        metadata[symbol] = surveys.describe(frame, account, calendar, symbol in job.params.unseen)
    test = (job.params.split or {}).get("test")
    short = [each["symbol"] for each in accounts if test and each["rows"] <= test]
    if short:
        raise StudyError(f"split.test is {test} rows, but {', '.join(short)} has no more than that; lower it")

    between = surveys.stale_tails(accounts, timeframe, calendar, job.params.checks["max_gap"])
    between += surveys.clock_disagreements(closes, timeframe)
    write_result(job.output.quality, "quality/1", surveys.quality(accounts, between), job)
    with replacing(job.output.summary) as temporary:
        surveys.summary(accounts, test).to_csv(temporary, index=False, lineterminator="\n")
    write_json(job.output.metadata, metadata)
    tables = [pd.read_parquet(path) for path in job.input.quarantine]
    for symbol, table in zip(symbols, tables, strict=True):
        table.insert(0, "symbol", pd.Series(symbol, index=table.index, dtype="str"))
    filled = [table for table in tables if len(table)] or tables[:1]
    write_table(job.output.quarantine, pd.concat(filled, ignore_index=True))
    everything = [found for account in accounts for found in account["findings"]] + between
    said = ", ".join(f"{number} {severity}" for severity, number in counts(everything).items())
    progress.info("%d symbols; findings: %s; quarantined rows: %d", len(symbols), said, sum(map(len, tables)))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
