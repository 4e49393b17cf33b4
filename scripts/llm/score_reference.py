"""What the reference of DPO, the policy that SFT made, thinks of every pair: log-probabilities of both answers."""

from pathlib import Path

import pandas as pd

from scripts.common import devices
from scripts.common.atomic import write_table
from scripts.common.job import progress, run
from scripts.common.results import write_result
from scripts.llm import adapters, chats, examples, pairs, policies, trainers


def main(job):
    """Score training and validation pairs; say whose scores they are."""
    params, inputs = job.params, job.input
    policies.use_one_thread()
    device = policies.device_for(job.resources)
    tokenizer = chats.load_tokenizer(inputs.model)
    model = policies.load(
        inputs.model,
        inputs["index"],
        adapter=Path(inputs.adapter).parent,
        device=device,
        cards=devices.asked(job.resources),
        dtype=params.dtype,
        attention=params.attention,
        four_bit=params.four_bit,
    )
    rows = []
    for path, split in zip(inputs.pairs, ("train", "validation"), strict=True):
        found = pairs.read(path, params.settings, split)
        kept, _ = examples.pairs(tokenizer, found, params.settings["max_length"])
        scores = trainers.score(model, kept, params.settings["row_tokens"], params.dtype)
        rows += [(each.name, split, *score) for each, score in zip(kept, scores, strict=True)]
        progress.info("%s: %d pairs", split, len(kept))
    write_table(job.output.scores, pd.DataFrame(rows, columns=["id", "split", "chosen", "rejected"]))
    body = {"reference": adapters.sha256(inputs.adapter), "pairs": len(rows), "dtype": params.dtype}
    write_result(job.output.account, "reference/1", body, job)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
