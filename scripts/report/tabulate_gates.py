"""The verdicts on all stacks as a page and as csv."""

import csv

from scripts.common.atomic import replacing, write_text
from scripts.common.job import progress, run
from scripts.common.results import read_json
from scripts.report import gate_table


def main(job):
    """Read gate.json and metrics.json of every stack, in the order of the params."""
    stacks = job.params.stacks
    gates, metrics = ([read_json(path) for path in paths] for paths in (job.input.gates, job.input.metrics))
    write_text(job.output.html, gate_table.page(stacks, gates, metrics))
    rows = gate_table.records(stacks, gates, metrics)
    with replacing(job.output.csv) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(
            file, list(rows[0]) if rows else ["ensemble", "target", "timeframe"], lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(rows)
    for (ensemble, target, timeframe), gate in zip(stacks, gates, strict=True):
        progress.info("%s %s %s: %s (%s)", ensemble, target, timeframe, gate["verdict"], gate["reason"])


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
