"""The Modelfile of a GGUF file: template, stop tokens, parameters and system prompt for Ollama.

Ollama itself was not run: its template is checked by a renderer of our own against the tokenizer's chat template.
"""

from scripts.common.atomic import write_text
from scripts.common.job import progress, run
from scripts.llm import chats, modelfiles, weights


def main(job):
    """Derive the Go template from the chat template, check it on conversations, and write the file."""
    params, inputs = job.params, job.input
    weights.check(inputs.model, inputs["index"])
    tokenizer = chats.load_tokenizer(inputs.model)
    write_text(job.output[0], modelfiles.of_model(inputs.model, tokenizer, params.gguf, params.settings))
    progress.info("stops at %s", ", ".join(modelfiles.stops(tokenizer)))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
