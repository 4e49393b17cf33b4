"""Group-relative policy optimisation (Shao et al. 2024) with the corpus's rule-based reward, by TRL's GRPOTrainer."""

import os


def dataset(found, settings):
    """Prompts and their answers as a datasets.Dataset: ``prompt`` (turns) and ``answer`` (JSON text)."""
    import json

    from datasets import Dataset

    # one column of text: the answers' keys differ, and a table would fill up what is missing
    rows = [{"prompt": each["prompt"], "answer": json.dumps(each["answer"], sort_keys=True)} for each in found]
    return Dataset.from_list(rows)


def reward(completions, answer, **_):
    """The corpus's reward of each completion (a list of turns), in [0, 1]."""
    import json

    from scripts.corpus import rewards

    return [
        rewards.reward(each[-1]["content"], json.loads(truth)) for each, truth in zip(completions, answer, strict=True)
    ]


def train(model, tokenizer, found, settings, folder, *, seed, device, watchers, resume):
    """Train ``model`` in place on prompts ``found``; the trainer.

    ``settings``: dict of :class:`scripts.llm.settings.Grpo`. A step has ``batch`` completions, ``generations`` of each
    prompt. ``watchers``: callbacks; ``resume``: a checkpoint or None. Nothing of TRL's is cached outside ``folder``.
    """
    os.environ["HF_DATASETS_CACHE"] = str(folder / "datasets")
    from trl import GRPOConfig, GRPOTrainer

    arguments = GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=settings["batch"],
        num_generations=settings["generations"],
        max_completion_length=settings["max_new_tokens"],
        temperature=settings["temperature"],
        beta=settings["beta"],
        max_steps=settings["steps"],
        learning_rate=settings["learning_rate"],
        lr_scheduler_type=settings["schedule"],
        warmup_steps=round(settings["warmup"] * settings["steps"]),
        weight_decay=settings["weight_decay"],
        max_grad_norm=settings["max_grad_norm"],
        bf16=settings["dtype"] == "bfloat16",
        activation_checkpointing=settings["gradient_checkpointing"],
        use_cpu=device == "cpu",
        seed=seed,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=max(1, settings["steps"] // settings["checkpoints"]),
        disable_tqdm=True,
        report_to=[],
    )
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=reward,
        args=arguments,
        train_dataset=dataset(found, settings),
        processing_class=tokenizer,
        callbacks=list(watchers),
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer
