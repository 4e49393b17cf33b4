"""A market's bars by month and what was found in them."""

import csv

from scripts.common.atomic import replacing, write_text
from scripts.common.job import run
from scripts.common.results import read_json
from scripts.report import quality_figure, quality_table


def main(job):
    """Draw the accounts' months with the findings of quality.json, and write the findings as pages and csv."""
    quality, market = read_json(job.input.quality), job.wildcards.market
    accounts = [read_json(path) for path in job.input.accounts]
    quality_figure.draw(job.output.figure, accounts, quality["findings"], market)
    write_text(job.output.table, quality_table.page(market, quality))
    with replacing(job.output.csv) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([quality_table.COLUMNS, *quality_table.ordered(quality["findings"])])


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
