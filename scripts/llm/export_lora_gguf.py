"""An adapter as a GGUF file of its own, for hot-swap beside the GGUF file of its base."""

from scripts.common.atomic import replacing
from scripts.common.job import progress, run
from scripts.llm import gguf_adapters, policies, weights


def main(job):
    """Convert a PEFT LoRA adapter; DoRA and what else llama.cpp cannot load is refused."""
    inputs, params = job.input, job.params
    weights.check(inputs.model, inputs["index"])
    policies.use_one_thread()
    with replacing(job.output[0]) as temporary:
        made = gguf_adapters.convert(inputs.adapter, inputs.config, inputs.model, temporary, params.name, params.base)
    progress.info("%d matrices, %d weights, %d bytes", sum(made["tensors"].values()), made["weights"], made["bytes"])


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
