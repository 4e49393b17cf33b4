"""The cards of a corpus: Croissant and README."""

import hashlib
from pathlib import Path

from scripts.common.atomic import write_json, write_text
from scripts.common.job import run
from scripts.common.results import fingerprints, read_json
from scripts.corpus import cards, samples


def main(job):
    """Describe every file of the corpus and what the checks said."""
    params, inputs, name = job.params, job.input, job.wildcards.corpus
    folder = Path(job.output.card).parent
    paths = sorted((str(Path(each).relative_to(folder)) for each in _files(inputs)), key=cards.order)
    files = {path: _measure(folder / path) for path in paths}
    sizes = {path: samples.count_lines(folder / path) for path in paths}
    accounts, phases = (
        [read_json(each) for each in inputs.accounts],
        [read_json(each) for each in inputs.phase_accounts],
    )
    checks = read_json(inputs.checks)
    missing = [each for each in params.settings["expected_symbols"] if each not in params.symbols]
    text = cards.page(name, accounts, sizes, phases, checks, params.settings, params.source, missing)
    write_text(job.output.page, text)
    total = sum(each["samples"] for each in accounts)
    description = f"{total} samples in {len(accounts)} parts: {', '.join(each['part'] for each in accounts)}"
    card = cards.croissant(name, description, params.settings["license"], files, fingerprints(job)["config"])
    write_json(job.output.card, card)


def _files(inputs):
    return [*inputs.splits, *inputs.phases, *inputs.benchmark]


def _measure(path):
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
