"""Let the trainings of a recipe begin: its checks found nothing that would stop them."""

from scripts.common.atomic import write_json
from scripts.common.job import run
from scripts.llm import weights


def main(job):
    """Write down which preflight was passed."""
    write_json(job.output[0], {"preflight": weights.sha256(job.input[0])})


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
