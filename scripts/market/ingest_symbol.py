"""Raw bars of one symbol to checked bars, their account, and what was kept out."""

from scripts.common.atomic import write_table
from scripts.common.errors import StudyError
from scripts.common.job import progress, run
from scripts.common.results import write_result
from scripts.market import bars, checks, sources
from scripts.market.findings import counts


def main(job):
    """Read the source, cut the span, check, and write bars, account and quarantine."""
    symbol, timeframe, calendar = job.wildcards.symbol, job.params.timeframe, job.params.calendar
    source, span = job.params.source, job.params.span or {}
    frame, notes = sources.load(source["kind"]).read(
        symbol,
        source,
        files=list(job.input.get("files", [])),
        timeframe=timeframe,
        calendar=calendar,
        span=span,
        seed=job.params.seed,
    )
    frame, outside = cut(frame, span.get("start"), span.get("end"))
    if frame.empty:
        raise StudyError(f"{symbol}: none of the {outside} bars lies in the span {span}; change markets.<name>.span")
    try:
        kept, quarantined, found = checks.inspect(frame, timeframe=timeframe, calendar=calendar, **job.params.checks)
    except StudyError as error:
        raise StudyError(f"{symbol}: {error}") from None
    if outside:
        notes["outside_span"] = outside
    write_table(job.output.bars, kept)
    write_table(job.output.quarantine, quarantined)
    body = bars.account(
        kept, symbol=symbol, timeframe=timeframe, findings=found, quarantined=len(quarantined), notes=notes
    )
    write_result(job.output.account, "bars/1", body, job)
    said = ", ".join(f"{number} {severity}" for severity, number in counts(found).items() if number) or "none"
    progress.info(
        "%d bars, %s to %s; quarantined: %d; findings: %s",
        len(kept),
        body["first"],
        body["last"],
        len(quarantined),
        said,
    )


def cut(frame, start, end):
    """Rows with a stamp in [start, end), or with none, and how many were left out. ISO dates or None."""
    import pandas as pd

    outside = pd.Series(False, index=frame.index)
    if start:
        outside |= frame["timestamp"] < pd.Timestamp(start, tz="UTC")
    if end:
        outside |= frame["timestamp"] >= pd.Timestamp(end, tz="UTC")
    return frame[~outside].reset_index(drop=True), int(outside.sum())


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
