"""One part of a corpus as jsonl, and an account of it."""

import os

from scripts.common.errors import StudyError
from scripts.common.job import run
from scripts.common.results import write_result
from scripts.corpus import kinds, samples
from scripts.corpus.market_rows import read_rows
from scripts.corpus.parts import Part


def main(job):
    """Read the market rows that the part is made from, if any, and build it."""
    params = job.params
    part = Part(
        name=job.wildcards.part,
        settings=dict(params.settings),
        seed=params.seed,
        market=params.market,
        timeframe=params.timeframe,
        partition=params.partition,
        rows=read_rows(job.input, params) if params.symbols else {},
        file=job.input.file[0] if params.settings["kind"] == "files" else None,
    )
    made = list(kinds.load(part.settings["kind"]).build(part))
    if not made:
        raise StudyError(f"part {part.name}: nothing was made; {part.file or 'its settings'} gave no sample")
    samples.write(job.output.samples, made)
    write_result(job.output.account, "part/1", _account(part, made), job)


def _account(part, made):
    """How many samples of which domain, difficulty and language; wrong rows of a file are counted by reason."""
    defects = [each["defect"] for each in made if "defect" in each]
    counts = {
        key: _count(each["meta"][key] for each in made if "defect" not in each)
        for key in ("domain", "difficulty", "language", "template")
    }
    return {
        "part": part.name,
        "kind": part.settings["kind"],
        "format": kinds.format_of(part.settings),
        "samples": len(made) - len(defects),
        "defects": _count(defects),
        "templates": len(counts.pop("template")),
        **counts,
        "file": os.path.basename(part.file) if part.file else None,
    }


def _count(values):
    counts = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return dict(sorted(counts.items()))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
