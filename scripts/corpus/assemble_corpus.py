"""All parts of one format, joined: train, validation and test, and the rows that were kept apart."""

from collections import Counter

from scripts.common.errors import StudyError
from scripts.common.job import progress, run
from scripts.corpus import defects, samples, splits


def main(job):
    """Join the parts, keep wrong rows apart or stop, and split what is left."""
    params = job.params
    joined = [sample for path in job.input.parts for sample in samples.read(path)]
    wrong = defects.find(joined, params.checks)
    if wrong:
        said = ", ".join(
            f"{number} x {reason}"
            for reason, number in Counter(reason for reasons in wrong.values() for reason in reasons).most_common()
        )
        if params.checks["on_violation"] == "fail":
            first = min(wrong)
            raise StudyError(
                f"corpus {job.wildcards.corpus} has {len(wrong)} wrong samples of {len(joined)} ({said}); the first is "
                f"{joined[first]['meta']['id']}. Mend the source, or set checks.on_violation to quarantine"
            )
        progress.info("%d of %d samples are wrong (%s): %s", len(wrong), len(joined), said, _fate(params.checks))
    kept = [each for place, each in enumerate(joined) if place not in wrong or _may_stay(each, params.checks)]
    apart = [
        {"reasons": wrong[place], **each}
        for place, each in enumerate(joined)
        if place in wrong and not _may_stay(each, params.checks)
    ]
    parts = splits.split(kept, **params.splits)
    for name in samples.SPLITS:
        samples.write(job.output[name], parts[name])
    samples.write(job.output.quarantine, apart)


def _may_stay(sample, checks):
    """Whether a wrong sample stays: if the config says so, and if it is a sample at all."""
    return checks["on_violation"] == "ignore" and "defect" not in sample


def _fate(checks):
    return "they stay" if checks["on_violation"] == "ignore" else "they are in quarantine.jsonl"


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
