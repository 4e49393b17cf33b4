"""The base with an adapter merged in, tensor by tensor, as a model folder of its own."""

import shutil
from contextlib import closing
from pathlib import Path

from scripts.common.atomic import replacing
from scripts.common.errors import StudyError
from scripts.common.job import progress, run
from scripts.llm import adapters, policies, weights
from scripts.llm.bases import local


def main(job):
    """Check base and adapter, merge, write the folder and its index."""
    params, inputs = job.params, job.input
    policies.use_one_thread()
    known = weights.check(inputs.model, inputs["index"])
    base, adapter = weights.Weights(inputs.model), adapters.read(Path(inputs.adapter).parent)
    adapters.check_fit(adapter, base)
    with replacing(job.output.folder) as temporary:
        with closing(weights.Writer(temporary, local.shard_bytes(params.shard))) as writer:
            for name in base.names:
                # opened anew: what was read of a mapped file counts as memory until it is closed
                tensor, layer = weights.Weights(inputs.model).read(name), adapter.layers.get(name)
                writer.add(name, tensor if layer is None else merged(name, tensor, layer))
        for name in ("config.json", *local.beside(inputs.model)):
            shutil.copyfile(Path(inputs.model, name), temporary / name)
        body = {
            "base": params.base,
            "base_digest": local.digest(known),
            "recipe": params.recipe,
            "adapter": adapters.sha256(inputs.adapter),
            "merged_layers": len(adapter.layers),
        }
        weights.write_index(temporary, job.output["index"], body)
    progress.info("%d layers merged", len(adapter.layers))


def merged(name, tensor, layer):
    """A weight with its adapter; StudyError where that is not finite."""
    whole = adapters.merged_weight(tensor, layer)
    if not whole.isfinite().all():
        raise StudyError(f"{name} is not finite once the adapter is merged: the training that made it went wrong")
    return whole


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
