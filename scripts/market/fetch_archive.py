"""Download and verify one month of a symbol's archive; what is not there is recorded as absent."""

from scripts.common.atomic import replacing
from scripts.common.job import progress, run
from scripts.market.sources import binance


def main(job):
    """Write the month's raw bars as parquet; URL, SHA-256 and a reason for absence are in its schema's metadata."""
    import pyarrow
    import pyarrow.parquet

    symbol, month = job.wildcards.symbol, job.wildcards.month
    bars, metadata = binance.fetch(job.params.source, symbol, job.params.timeframe, month)
    progress.info(metadata.get("absent") or f"{len(bars)} bars, checksum verified")
    table = pyarrow.Table.from_pandas(bars, preserve_index=False)
    with replacing(job.output[0]) as temporary:
        pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), temporary, compression="zstd")


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
