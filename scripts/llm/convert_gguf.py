"""A model folder as one GGUF file."""

from scripts.common.atomic import replacing
from scripts.common.job import progress, run
from scripts.llm import gguf_models, llama_cpp, policies, weights


def main(job):
    """Convert and quantise: Qwen2 by our own converter, K-quants and other architectures by llama.cpp's."""
    folder, quant = job.input.model, job.params.quant
    weights.check(folder, job.input["index"])
    policies.use_one_thread()
    own = quant in gguf_models.QUANTS and gguf_models.supports(weights.read_config(folder))
    convert = gguf_models.convert if own else llama_cpp.convert
    with replacing(job.output[0]) as temporary:
        made = convert(folder, temporary, quant, job.params.name, job.threads)
    kinds = ", ".join(f"{number} {kind}" for kind, number in made["tensors"].items())
    progress.info("%s: tensors %s; %.2f bits per weight", quant, kinds, made["bits_per_weight"])


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
