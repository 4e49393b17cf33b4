"""Group-relative policy optimisation (Shao et al. 2024) with the corpus's rule-based reward, by TRL's GRPOTrainer."""

import math
import os

from scripts.common.training import failures
from scripts.llm import chats, packing, trainers


def prompts(tokenizer, found, max_length):
    """``(kept, too_long)``: the prompts of at most ``max_length`` tokens, and the ids of the others."""
    kept, too_long = [], []
    for each in found:
        ids = tokenizer.encode(chats.prompt_text(tokenizer, each["prompt"]), add_special_tokens=False)
        if len(ids) > max_length:
            too_long.append(each["meta"]["id"])
        else:
            kept.append(each)
    return kept, too_long


def dataset(found, settings, seed):
    """The prompts of a whole training in their order as a datasets.Dataset: ``prompt`` (turns), ``answer`` (JSON text).

    TRL's own order goes on from one epoch to the next with a generator that no checkpoint has: a training resumed in
    its second epoch would see the prompts of its first.
    """
    import json

    from datasets import Dataset

    number = settings["steps"] * settings["batch"] // settings["generations"]
    epochs = math.ceil(number / len(found))
    order = [place for batch in packing.draw_batches(len(found), len(found), epochs, seed) for place in batch][:number]
    # one column of text: the answers' keys differ, and a table would fill up what is missing
    rows = [
        {"prompt": found[place]["prompt"], "answer": json.dumps(found[place]["answer"], sort_keys=True)}
        for place in order
    ]
    return Dataset.from_list(rows)


def reward(completions, answer, **_):
    """The corpus's reward of each completion (a list of turns), in [0, 1]."""
    import json

    from scripts.corpus import rewards

    return [
        rewards.reward(each[-1]["content"], json.loads(truth)) for each, truth in zip(completions, answer, strict=True)
    ]


def train(model, tokenizer, found, settings, folder, *, at_once, seed, device, watchers, resume):
    """Train ``model`` in place on prompts ``found``; the trainer.

    ``settings``: dict of :class:`scripts.llm.settings.Grpo`. A step has ``batch`` completions, ``generations`` of each
    prompt; gradients are computed of ``at_once`` of them at a time. ``watchers``: callbacks; ``resume``: a checkpoint
    or None: a training that goes on ends with the same bytes. Nothing of TRL's is cached outside ``folder``.
    """
    os.environ["HF_DATASETS_CACHE"] = str(folder / "datasets")
    from trl import GRPOConfig, GRPOTrainer

    arguments = GRPOConfig(
        **trainers.optimisation(settings, settings["steps"]),
        output_dir=str(folder),
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=settings["batch"] // at_once,
        generation_batch_size=settings["batch"],
        shuffle_dataset=False,
        num_generations=settings["generations"],
        max_completion_length=settings["max_new_tokens"],
        temperature=settings["temperature"],
        beta=settings["beta"],
        max_steps=settings["steps"],
        use_cpu=device == "cpu",
        seed=seed,
    )
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=reward,
        args=trainers.on_one_gpu(arguments),
        train_dataset=dataset(found, settings, seed),
        processing_class=tokenizer,
        callbacks=list(watchers),
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def train_fitting(model, tokenizer, found, settings, folder, *, at_once, on_shrink, resume, **options):
    """:func:`train`, with half as many completions at once each time a GPU's memory does not suffice.

    A step keeps its completions and so its gradient. ``on_shrink(old, new)`` is told; ``resume()`` gives the checkpoint
    to go on from. Raises StoppedError when one completion at a time does not fit, or the writing of them all does not.
    """
    start = trainers.trained(model)
    while True:
        options |= {"at_once": at_once, "resume": resume()}
        trainer, problem = trainers.attempt(train, model, tokenizer, found, settings, folder, **options)
        if not problem:
            return trainer
        if at_once == 1:
            said = f"the GPU's memory does not hold the completions of a step: {problem}"
            remedy = "lower grpo.batch, max_new_tokens or max_length, or turn on gradient_checkpointing"
            raise failures.stopped("out_of_memory", None, {"message": said}, remedy)
        # TRL adds its reference anew
        if "ref" in model.peft_config:
            model.delete_adapter("ref")
        trainers.begin_again(model, start)
        fewer = next(each for each in range(at_once // 2, 0, -1) if settings["batch"] % each == 0)
        on_shrink(at_once, fewer)
        at_once = fewer
