"""What the formula catalogue holds: entries by family, which of them compute, and what the others need."""

from scripts.common.job import progress, run
from scripts.common.results import write_result
from scripts.corpus import surveys


def main(job):
    """Count every family of the catalogue."""
    families = [surveys.survey(family) for family in job.params.formulas]
    entries, computed = (sum(each[key] for each in families) for key in ("entries", "computed"))
    progress.info("%d formulas in %d families, %d compute", entries, len(families), computed)
    write_result(job.output[0], "formulas/1", {"entries": entries, "computed": computed, "families": families}, job)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
