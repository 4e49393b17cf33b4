"""The corpora of the study as a page and their rules as csv."""

import csv

from scripts.common.atomic import replacing, write_text
from scripts.common.job import run
from scripts.common.results import read_json
from scripts.report import corpus_table


def main(job):
    """Read the checks and accounts of every corpus, in the order of the params."""
    inputs, corpora = job.input, {}
    accounts, phases = iter(inputs.accounts), iter(inputs.phases)
    for (name, about), checks in zip(job.params.corpora.items(), inputs.checks, strict=True):
        corpora[name] = {
            "checks": read_json(checks),
            "accounts": [read_json(next(accounts)) for _ in about["parts"]],
            "phases": [read_json(next(phases)) for _ in about["phases"]],
        }
    write_text(job.output.html, corpus_table.page(corpora, read_json(inputs.catalogue)))
    rows = corpus_table.records(corpora)
    head = list(rows[0]) if rows else ["corpus"]
    with replacing(job.output.csv) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, head, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
