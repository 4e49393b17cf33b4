"""All checks of a corpus: rules, figures, and a verdict."""

from pathlib import Path

from scripts.common.job import progress, run
from scripts.common.results import write_result
from scripts.corpus import samples, verdicts


def main(job):
    """Check the parts as written, the splits as they are trained on, and the benchmark."""
    params, inputs = job.params, job.input
    rules, figures = [], {"parts": {}}
    for path in inputs.parts:
        name = Path(path).stem
        found, about = verdicts.of_part(name, params.parts[name], samples.read(path), params.checks)
        rules += found
        figures["parts"][name] = about
    files = {form: {} for form in params.formats}
    for path in map(Path, inputs.splits):
        if path.stem in samples.SPLITS:
            files[path.parent.name][path.stem] = samples.read(path)
    for form, splits in files.items():
        rules += verdicts.of_splits(form, splits)
        if form == "preferences":
            found, figures["preferences"] = verdicts.of_preferences(splits, params.checks, params.seed)
            rules += found
    rules += verdicts.of_formats(files)
    if inputs.benchmark:
        training = [each for splits in files.values() for each in splits["train"]]
        rules += verdicts.of_benchmark(training, samples.read(inputs.benchmark[0]), params.checks)
    decision, reason = verdicts.verdict(rules, params.checks["on_violation"])
    progress.info("%s (%s)", decision, reason)
    body = {"corpus": job.wildcards.corpus, "verdict": decision, "reason": reason, "rules": rules, "figures": figures}
    write_result(job.output[0], "checks/1", body, job)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
