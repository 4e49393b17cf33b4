"""The study on one page."""

from scripts.common.atomic import write_text
from scripts.common.job import run
from scripts.common.results import read_json
from scripts.report import overview


def main(job):
    """Join what the files of all markets and stacks say; they come in the order of the params."""
    params, inputs = job.params, job.input
    markets = [
        overview.market_row(name, source, *map(read_json, files))
        for (name, source), *files in zip(
            params.sources.items(), inputs.manifests, inputs.quality, inputs.metadata, strict=True
        )
    ]
    stacks = [
        overview.stack_row(stack, *map(read_json, files))
        for stack, *files in zip(params.stacks, inputs.folds, inputs.gates, inputs.metrics, strict=True)
    ]
    write_text(job.output[0], overview.page(params.title, params.note, params.study, markets, stacks))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
