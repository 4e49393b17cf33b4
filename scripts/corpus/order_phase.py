"""One phase of a curriculum: its samples in the order of training, and what was drawn from which bucket."""

from scripts.common.job import progress, run
from scripts.common.results import write_result
from scripts.corpus import curricula, samples


def main(job):
    """Draw the phase after all phases before it."""
    params = job.params
    drawn, account = curricula.draw(samples.read(job.input[0]), params.phases, params.shortfall, params.seed)
    for move in account["reallocated"]:
        progress.info("%d samples are %s in place of %s", move["samples"], move["to"], move["from"])
    samples.write(job.output.samples, drawn)
    write_result(job.output.account, "phase/1", account, job)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
