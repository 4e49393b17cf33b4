"""What is known about a market's data: quality, summary, metadata, and all rows that were kept out."""

from scripts.common.atomic import replacing, write_table
from scripts.common.job import progress, run
from scripts.common.results import read_json, write_result
from scripts.market import assets, bars, surveys, time_zones


def main(job):
    """Join accounts, bars and quarantines of all symbols."""
    import pandas as pd

    symbols, timeframe, calendar = list(job.params.symbols), job.params.timeframe, job.params.calendar
    accounts = [read_json(path) for path in job.input.accounts]
    closes, metadata = {}, {}
    for symbol, path, account in zip(symbols, job.input.bars, accounts, strict=True):
        frame = bars.read(path)
        stamps = frame["timestamp"].dt.tz_localize(None).to_numpy("datetime64[us]")
        closes[symbol] = stamps, frame["close"].to_numpy("float64")
        known = {name: account[name] for name in ("first", "last", "rows", "quarantined", "notes")}
        about = {"timeframe": timeframe, "calendar": calendar, "unseen": symbol in job.params.unseen}
        metadata[symbol] = known | about | assets.describe(frame, timeframe=timeframe, calendar=calendar)
    summary = surveys.summary(accounts, (job.params.split or {}).get("test"))

    reason = time_zones.unable(timeframe, len(symbols))
    zones = {"checked": False, "reason": reason} if reason else {"checked": True, "rule": time_zones.RULE}
    between = surveys.stale_tails(accounts, timeframe, calendar, job.params.checks["max_gap"])
    between += time_zones.suspects(closes, timeframe)
    quality = surveys.quality(accounts, between, zones, dict(job.params.checks))
    write_result(job.output.quality, "quality/1", quality, job)
    write_result(job.output.metadata, "asset_metadata/1", {"symbols": metadata}, job)
    with replacing(job.output.summary) as temporary:
        summary.to_csv(temporary, index=False, lineterminator="\n")
    tables = [pd.read_parquet(path) for path in job.input.quarantine]
    write_table(job.output.quarantine, surveys.gather(dict(zip(symbols, tables, strict=True))))
    said = ", ".join(f"{name} {each['findings']}" for name, each in quality["classes"].items()) or "none"
    progress.info("%d symbols; rows kept out: %d; findings: %s", len(symbols), quality["rows"]["quarantined"], said)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
