"""One base model: made from nothing, fetched, copied or merged, as a folder with an index beside it."""

from scripts.common.atomic import replacing
from scripts.common.job import run
from scripts.llm import bases, sessions, weights


def main(job):
    """Have the base's kind write the folder, then its index."""
    params, inputs = job.params, job.input
    parents = dict(zip(params.names, zip(inputs.models, inputs.indexes, strict=True), strict=True))
    given = {"texts": list(inputs.texts), "models": parents}
    kind = bases.load(params.settings["kind"])
    with replacing(job.output.folder) as temporary:
        temporary.mkdir()
        options = {"seed": params.seed, "threads": job.threads}
        if kind.TRAINS:
            with sessions.opened(job, "build_base", job.wildcards.base) as session:
                facts = kind.build(params.settings, given, temporary, **options, session=session)
        else:
            facts = kind.build(params.settings, given, temporary, **options)
        body = {"base": job.wildcards.base, "kind": params.settings["kind"], "facts": facts}
        weights.write_index(temporary, job.output["index"], body)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
