"""An adapter as a GGUF file of its own, for hot-swap beside the GGUF file of its base."""

from scripts.common.atomic import replacing
from scripts.common.job import progress, run
from scripts.llm import gguf_adapters, policies, weights


def main(job):
    """Convert a PEFT LoRA adapter; DoRA and what else llama.cpp cannot load is refused."""
    inputs, params = job.input, job.params
    base = inputs.get("base", inputs.get("model"))
    weights.check(base, inputs["index"])
    policies.use_threads(job.threads)
    with replacing(job.output[0]) as temporary:
        made = gguf_adapters.convert(
            inputs.adapter, inputs.config, base, temporary, params.name, params.get("quant", "F32")
        )
    progress.info("%d matrices, %d weights, %d bytes", sum(made["tensors"].values()), made["weights"], made["bytes"])


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
