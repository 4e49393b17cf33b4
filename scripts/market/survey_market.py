"""One file that says which bars a market has: the digest of every month of every symbol."""

from scripts.common.job import progress, run
from scripts.common.results import read_json, write_result
from scripts.market import surveys


def main(job):
    """Join the accounts of all symbols to the market's manifest."""
    accounts = [read_json(path) for path in job.input.accounts]
    manifest = surveys.manifest(accounts, job.wildcards.market)
    about = {"market": job.wildcards.market, "timeframe": job.params.timeframe}
    about |= {"calendar": job.params.calendar, "partition": job.params.partition}
    write_result(job.output[0], "manifest/1", about | manifest, job)
    progress.info("%d symbols, %s to %s", len(accounts), manifest["first"], manifest["last"])


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
