"""Training on rows: transformers' Trainer with the losses of SFT and DPO, exact per optimizer step whatever the rows.

torch and transformers are imported by the functions: planning a study must not wait for them.
"""

import functools
from typing import NamedTuple

from scripts.common.errors import StudyError
from scripts.llm import packing
from scripts.llm.examples import IGNORED, Rows, collate


class Course(NamedTuple):
    """What is trained on, step by step: ``rows`` (a :class:`Rows`), of which ``per_step`` make an optimizer step."""

    rows: Rows
    per_step: int
    steps: int


def course(examples, settings, seed, capacity=None, packed=True):
    """The :class:`Course` of examples by the settings of a training (dict); ``capacity`` replaces its row_tokens."""
    batches = packing.draw_batches(len(examples), settings["batch"], settings["epochs"], seed)
    lengths = [each.length for each in examples]
    capacity = capacity or settings["row_tokens"]
    steps, rows = packing.pack(batches, lengths, capacity) if packed else packing.one_by_one(batches)
    return Course(Rows(examples, steps), rows, len(steps))


def validation_rows(examples, capacity):
    """All examples in as few rows as they need, for the validation loss; None without examples."""
    if not examples:
        return None
    everything = [list(range(len(examples)))]
    lengths = [each.length for each in examples]
    steps, _ = packing.pack(everything, lengths, max(capacity, *lengths))
    return Rows(examples, steps)


def arguments(settings, course, folder, *, seed, device):
    """transformers.TrainingArguments for a course; checkpoints go to ``folder``.

    ``settings``: dict of :class:`scripts.llm.settings.Training`. Nothing is reported to anyone.
    """
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=course.per_step,
        max_steps=course.steps,
        train_sampling_strategy="sequential",
        learning_rate=settings["learning_rate"],
        lr_scheduler_type=settings["schedule"],
        warmup_steps=round(settings["warmup"] * course.steps),
        weight_decay=settings["weight_decay"],
        max_grad_norm=settings["max_grad_norm"],
        optim="adamw_torch_fused" if device == "cuda" else "adamw_torch",
        bf16=settings["dtype"] == "bfloat16",
        activation_checkpointing=settings["gradient_checkpointing"],
        use_cpu=device == "cpu",
        seed=seed,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=max(1, course.steps // settings["checkpoints"]),
        save_total_limit=2,
        eval_strategy="steps" if settings["evaluations"] else "no",
        eval_steps=max(1, -(-course.steps // max(1, settings["evaluations"]))),
        disable_tqdm=True,
        report_to=[],
        remove_unused_columns=False,
        dataloader_pin_memory=device == "cuda",
        average_tokens_across_devices=True,
    )


@functools.cache
def _trainer():
    """The Trainer class of this project: losses are sums over a step divided by what the step has of them."""
    from transformers import Trainer

    class RowTrainer(Trainer):
        loss_is_scaled_for_ga = True

        def __init__(self, *args, objective, **kwargs):
            super().__init__(*args, data_collator=collate, **kwargs)
            self.objective = objective

        def _get_num_items_in_batch(self, batch_samples, device):
            return sum(self.objective.size(batch) for batch in batch_samples)

        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            return self.objective.total(model, inputs) / (num_items_in_batch or self.objective.size(inputs))

        def evaluate(self, *_, **__):
            metrics = {"eval_loss": validation_loss(self, self.objective, self.eval_dataset)}
            self.log(metrics)
            self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
            return metrics

    return RowTrainer


def validation_loss(trainer, objective, rows):
    """The mean loss over all items of validation rows: neither the rows nor their order matter."""
    import torch

    model, total, items = trainer.model.eval(), 0.0, 0
    with torch.no_grad(), trainer.compute_loss_context_manager():
        for number in range(len(rows)):
            batch = trainer._prepare_inputs(collate([rows[number]]))
            total += float(objective.total(model, batch))
            items += objective.size(batch)
    model.train()
    return total / items


class Imitation:
    """SFT and pretraining: minus the log-likelihood of the targets, in nats."""

    @staticmethod
    def size(batch):
        """Target tokens of a batch of one row."""
        return int((batch["labels"] != IGNORED).sum())

    @staticmethod
    def total(model, batch):
        """Sum of the losses of a row's targets; the vocabulary's logits are computed for targets only."""
        import torch

        logits, targets = target_logits(model, batch)
        return torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum")


class Preference:
    """DPO (Rafailov et al. 2023, eq. 7): -log sigmoid(beta * margin) of every pair.

    The margin is how much more the policy prefers the chosen answer to the rejected one than the reference does.
    """

    def __init__(self, beta):
        self.beta = beta

    @staticmethod
    def size(batch):
        """Pairs of a batch of one row."""
        return len(batch["references"])

    def total(self, model, batch):
        """Sum of the losses of a row's pairs."""
        import torch

        policy, reference = segment_log_probabilities(model, batch).view(-1, 2), batch["references"]
        margin = (policy[:, 0] - policy[:, 1]) - (reference[:, 0] - reference[:, 1])
        return -torch.nn.functional.logsigmoid(self.beta * margin).sum()


def segment_log_probabilities(model, batch):
    """The log-probability of the targets of every segment of one row, summed, float32 ``[segments]``."""
    import torch

    logits, targets = target_logits(model, batch)
    each = -torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")
    places = (batch["labels"][0] != IGNORED).nonzero()[:, 0]
    segment = torch.bucketize(places, batch["bounds"][1:].long(), right=True)
    return torch.zeros(len(batch["bounds"]) - 1, device=each.device).index_add(0, segment, each)


def score(model, examples, capacity, dtype="float32"):
    """The log-probabilities of both answers of every pair, a list of ``(chosen, rejected)``."""
    import torch

    rows = validation_rows(examples, capacity)
    found = [None] * len(examples)
    with torch.no_grad(), torch.autocast(model.device.type, getattr(torch, dtype), enabled=dtype != "float32"):
        for number, places in enumerate(rows.rows if rows else ()):
            batch = {name: each.to(model.device) for name, each in collate([rows[number]]).items()}
            values = segment_log_probabilities(model, batch).view(-1, 2).tolist()
            for place, value in zip(places, values, strict=True):
                found[place] = tuple(value)
    return found


def target_logits(model, batch):
    """``(logits [n, vocabulary], targets [n])`` of the targets of one row: position i predicts token i + 1."""
    labels = batch["labels"][0]
    places = (labels != IGNORED).nonzero()[:, 0]
    inputs = {name: batch[name] for name in ("input_ids", "position_ids")}
    logits = model(**inputs, cu_seq_lens_q=batch["bounds"], logits_to_keep=places - 1, use_cache=False).logits[0]
    return logits, labels[places]


def train(model, course, settings, folder, *, objective, validation, seed, device, callbacks=(), resume=None):
    """Train ``model`` in place through a course; the transformers Trainer that did it.

    ``validation``: a :class:`Rows` or None; ``resume``: a checkpoint folder or None.
    """
    if validation is None or not len(validation):
        settings = settings | {"evaluations": 0}
    trainer = _trainer()(
        model=model,
        args=arguments(settings, course, folder, seed=seed, device=device),
        train_dataset=course.rows,
        eval_dataset=validation,
        objective=objective,
        callbacks=list(callbacks),
    )
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    return trainer


def train_fitting(model, make_course, settings, folder, *, capacity, on_shrink, resume, **options):
    """:func:`train`, with rows half as long each time a GPU's memory does not suffice.

    A step keeps its samples and so its gradient: half the row is twice the accumulation. ``make_course(capacity)``
    gives the course, ``resume(course)`` the checkpoint to go on from; ``on_shrink(old, new)`` is told. Raises
    StudyError when rows of one sample do not fit.
    """
    import torch

    start = {name: each.detach().clone() for name, each in model.named_parameters() if each.requires_grad}
    while True:
        course = make_course(capacity)
        try:
            return train(model, course, settings, folder, resume=resume(course), **options)
        except torch.cuda.OutOfMemoryError as error:
            sizes = [len(course.rows[number]["input_ids"]) for number in range(len(course.rows))]
            longest = max(sizes)
            alone = len(course.rows.rows[sizes.index(longest)]) == 1
            # a long sample alone in its row may not be the one that failed: the others are halved once
            if max(map(len, course.rows.rows)) == 1 or (alone and capacity <= longest // 2):
                raise StudyError(
                    f"the GPU's memory does not hold a row of one sample ({longest} tokens): {error}. Lower "
                    "max_length, turn on gradient_checkpointing, or take adapter.method qlora"
                ) from None
            # the steps that were made before do not count: the next attempt makes them again, or resumes
            with torch.no_grad():
                for name, each in model.named_parameters():
                    if each.requires_grad:
                        each.copy_(start[name])
            torch.cuda.empty_cache()
            on_shrink(longest, longest // 2)
            capacity = longest // 2
