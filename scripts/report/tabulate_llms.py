"""What every artifact of every recipe answered, as a page and as csv."""

import csv

from scripts.common.atomic import replacing, write_text
from scripts.common.job import run
from scripts.common.results import read_json
from scripts.report import llm_records, llm_table


def main(job):
    """Read the files of every recipe, in the order of the params."""
    inputs, recipes = job.input, {}
    files = {name: iter(_listed(inputs.get(name, ()))) for name in ("trainings", "verifications", "evaluations")}
    comparisons = iter(_listed(inputs.get("comparisons", ())))
    for (name, about), preflight in zip(job.params.recipes.items(), _listed(inputs.preflights), strict=True):
        recipes[name] = {
            "about": about,
            "preflight": read_json(preflight),
            "trainings": {each: read_json(next(files["trainings"])) for each in about["stages"]},
            "verifications": {each: read_json(next(files["verifications"])) for each in about["quants"]},
            "evaluations": {
                each: read_json(next(files["evaluations"])) for each in about["artifacts"] if about["sets"]
            },
            "comparison": read_json(next(comparisons)) if about["sets"] else None,
        }
    write_text(job.output.html, llm_table.page(recipes, job.params.planted))
    rows = llm_records.records(recipes)
    head = list(rows[0]) if rows else ["recipe"]
    with replacing(job.output.csv) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, head, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _listed(value):
    return [value] if isinstance(value, str) else list(value)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
