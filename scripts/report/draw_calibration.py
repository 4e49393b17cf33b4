"""The calibration of a stack and its base models."""

from scripts.common.job import run
from scripts.common.results import read_json
from scripts.report import calibration_figure


def main(job):
    """Draw the calibration bins of metrics.json."""
    wildcards = job.wildcards
    title = f"{wildcards.ensemble}, {wildcards.target}, {wildcards.timeframe}: calibration"
    calibration_figure.draw(job.output[0], read_json(job.input.metrics), title)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
