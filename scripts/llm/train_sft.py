"""One phase of supervised fine-tuning: a new adapter on the base, or the adapter of the phase before, trained on."""

from pathlib import Path

from scripts.common.errors import StudyError
from scripts.common.job import progress, run
from scripts.corpus import samples
from scripts.llm import adapters, chats, examples, policies, sessions, trainers


def main(job):
    """Train, in one process or in several."""
    recipe, phase = job.wildcards.recipe, job.wildcards.phase
    with sessions.opened(job, "train_sft", f"{recipe}/{phase}", f"sft-{phase}") as session:
        session.run(train, job)


def train(job, session):
    """Tokenise, train with the loss on the answers, write the adapter."""
    params, inputs, settings = job.params, job.input, sessions.settings_of(job)
    tokenizer = chats.load_tokenizer(inputs.model)
    found = examples.chosen(samples.read(inputs.samples), settings)
    kept, too_long = examples.conversations(tokenizer, found, settings["max_length"])
    if not kept:
        raise StudyError(f"{inputs.samples}: none of {len(found)} samples is left to train on")
    # the loss on all parts that are trained on, not on those that the file begins with
    held = examples.chosen(samples.read(inputs.validation), settings | {"samples": settings["validation_samples"]})
    held, _ = examples.conversations(tokenizer, held, settings["max_length"])
    # a phase of a curriculum has an order of its own
    options = {"packed": settings["packing"], "shuffle": not params.get("ordered", False), "shares": session.shares}
    parent = inputs.get("adapter")
    model = policies.load(
        inputs.model,
        inputs["index"],
        adapter=parent and Path(parent).parent,
        device=session.device,
        cards=session.cards,
        dtype=settings["dtype"],
        attention=settings["attention"],
        trainable=True,
        four_bit=params.lora["method"] == "qlora",
    )
    if not parent:
        model = policies.attach(model, params.lora, params.seed)
    session.train(
        model,
        lambda capacity: trainers.course(kept, settings, params.seed, capacity, **options),
        settings,
        objective=trainers.Imitation(),
        validation=held,
        seed=params.seed,
    )
    progress.info("%d samples, %d steps", len(kept), session.course.steps)
    body = {
        "phase": job.wildcards.phase,
        "continues": parent and adapters.sha256(parent),
        "samples": len(kept),
        "too_long": too_long,
    }
    session.save(job, model, params.base, body)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
