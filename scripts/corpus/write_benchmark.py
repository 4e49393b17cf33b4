"""The benchmark of a corpus: questions with reserved phrasings, on values that no training part has."""

from scripts.common.job import run
from scripts.corpus import benchmarks, samples


def main(job):
    """Write the questions of each domain; the inputs of the corpus's own samples are avoided."""
    params = job.params
    taken = {
        benchmarks.identity(sample)
        for path in job.input
        for sample in samples.read(path)
        if sample["meta"].get("question")
    }
    asked = [
        question
        for domain in params.domains
        for question in benchmarks.questions(domain, params.per_domain, params.seed, taken)
    ]
    samples.write(job.output[0], asked)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
