"""A GGUF file against the model that it was made from, in llama.cpp: gates on what it says and how it decides.

A gate that refuses does not stop the job: the file was made, but what is released asks for ``passed``. Only a file that
llama.cpp cannot load is an error.
"""

from pathlib import Path

from scripts.common import devices
from scripts.common.job import progress, run
from scripts.common.results import write_result
from scripts.corpus import samples
from scripts.llm import chats, gguf_checks, llama_servers, policies, weights

SLOTS = 8


def main(job):
    """All gates of one file, with their figures, and whether it passed."""
    params, inputs = job.params, job.input
    policies.use_one_thread()
    tokenizer = chats.load_tokenizer(inputs.model)
    device = policies.device_for(job.resources)
    model = policies.load(inputs.model, inputs["index"], device=device, cards=devices.asked(job.resources))
    found = [sample for path in inputs.prompts for sample in samples.read(path)]
    limits = gguf_checks.limits(params.quant, params.max_kl, params.min_agreement)
    longest = model.config.max_position_embeddings
    asked = gguf_checks.questions(tokenizer, found, params.texts, params.seed, longest)
    context = min(longest, max(len(each.ids) for each in asked) + 2 * gguf_checks.GREEDY)
    with llama_servers.serve(inputs.gguf, job.threads, context, slots=SLOTS) as server:
        gates, figures = gguf_checks.compare(server, tokenizer, model, inputs.gguf, asked, limits, params.seed)
    reasons = [f"{each['gate']}: {each['reason']}" for each in gates if not each["passed"]]
    for reason in reasons:
        progress.info("REFUSED %s: %s", Path(inputs.gguf).name, reason)
    if not reasons:
        progress.info("%s passed %d gates", Path(inputs.gguf).name, len(gates))
    body = {
        "gguf": Path(inputs.gguf).name,
        "sha256": weights.sha256(inputs.gguf),
        "quant": params.quant,
        "passed": not reasons,
        "reasons": reasons,
        "gates": gates,
        "figures": figures,
        "questions": [each.name for each in asked],
    }
    write_result(job.output[0], "gguf_verification/1", body, job)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
