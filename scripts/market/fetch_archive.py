"""Download and verify one month of a symbol's archive; a month that is not there is recorded as absent."""

from scripts.common.atomic import replacing
from scripts.common.job import progress, run
from scripts.market import archives


def main(job):
    """Write the month's raw bars as parquet; URL, SHA-256 or the reason of its absence are in the schema's metadata."""
    import pyarrow
    import pyarrow.parquet

    output = job.output[0]
    bars, origin = archives.fetch(job.params.source, job.wildcards.symbol, job.params.timeframe, job.wildcards.month)
    table = pyarrow.Table.from_pandas(bars, preserve_index=False).replace_schema_metadata(origin)
    with replacing(output) as temporary:
        pyarrow.parquet.write_table(table, temporary, compression="zstd")
    if "absent" in origin:
        progress.info("absent: %s; delete %s to ask again in another run", origin["absent"], output)
    else:
        progress.info("%d bars, checksum verified", len(bars))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
