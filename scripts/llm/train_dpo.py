"""Direct preference optimisation: the policy of SFT is trained on, with itself as it was as the reference."""

from pathlib import Path

from scripts.common.errors import StudyError
from scripts.common.job import progress, run
from scripts.llm import adapters, chats, examples, pairs, policies, sessions, trainers


def main(job):
    """Train, in one process or in several."""
    with sessions.opened(job, "train_dpo", job.wildcards.recipe, "dpo") as session:
        session.run(train, job)


def train(job, session):
    """Tokenise the pairs, train, prove at the first step that the start was the reference, write the adapter."""
    params, inputs, settings = job.params, job.input, sessions.settings_of(job)
    known = pairs.references(inputs.reference, inputs.account, inputs.adapter)
    tokenizer = chats.load_tokenizer(inputs.model)
    found = [
        pairs.read(path, settings, split) for path, split in zip(inputs.pairs, ("train", "validation"), strict=True)
    ]
    (kept, too_long), (held, _) = (examples.pairs(tokenizer, each, settings["max_length"], known) for each in found)
    if not kept:
        raise StudyError(f"{inputs.pairs[0]}: none of {len(found[0])} pairs is left to train on")
    model = policies.load(
        inputs.model,
        inputs["index"],
        adapter=Path(inputs.adapter).parent,
        device=session.device,
        cards=session.cards,
        dtype=settings["dtype"],
        attention=settings["attention"],
        trainable=True,
        four_bit=params.four_bit,
    )
    session.train(
        policies.without_dropout(model),
        lambda capacity: trainers.course(kept, settings, params.seed, capacity, shares=session.shares),
        settings,
        objective=trainers.Preference(settings["beta"]),
        validation=held,
        seed=params.seed,
        first=lambda record: pairs.require_start([record], settings["dtype"]),
    )
    pairs.require_start(session.records(), settings["dtype"])
    progress.info("%d pairs, %d steps", len(kept), session.course.steps)
    body = {"reference": adapters.sha256(inputs.adapter), "pairs": len(kept), "too_long": too_long}
    session.save(job, model, params.base, body)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
