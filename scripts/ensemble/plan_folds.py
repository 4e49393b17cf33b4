"""Plan the walk-forward folds of a target on a timeframe, or say why it is skipped."""

from scripts.common.job import progress, run
from scripts.common.periods import stamp
from scripts.common.results import read_json, write_result
from scripts.common.timeframes import duration
from scripts.ensemble import folds
from scripts.market import calendars


def main(job):
    """Lay the folds on the calendar grid between the market's first bar and the target's last one."""
    params, known = job.params, read_json(job.input.manifest)
    target = known["symbols"][job.wildcards.target]
    # the last source bar closes here; a coarse bar that closes later is not complete yet
    end = stamp(target["last"]) + duration(params.get("source_timeframe", params.timeframe))
    grid = calendars.grid(params.calendar, params.timeframe, stamp(known["first"]), end)
    grid = grid[grid + duration(params.timeframe) <= end]
    body = folds.plan(
        grid,
        **params.folds,
        horizon=params.horizon,
        partition=params.partition,
        timeframe=params.timeframe,
        min_rows_to_stack=params.min_rows_to_stack,
        first=target["first"],
    )
    write_result(job.output[0], "folds/1", body, job)
    progress.info("%s", body["reason"] or f"{len(body['folds'])} folds, {body['rows']['oof']} out-of-fold rows")


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
