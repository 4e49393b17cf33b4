"""Training on rows: transformers' Trainer with the losses of SFT and DPO, exact per optimizer step whatever the rows.

torch and transformers are imported by the functions: planning a study must not wait for them.
"""

import functools
import gc
from typing import NamedTuple

from scripts.common.training import failures
from scripts.llm import device_maps, packing, processes
from scripts.llm.examples import IGNORED, Rows, collate

# transformers' names of schedules, where ours are others: its "constant" has no warm-up
SCHEDULES = {"constant": "constant_with_warmup"}


class Course(NamedTuple):
    """What is trained on, step by step: ``rows`` (a :class:`Rows`), of which ``per_step`` make an optimizer step."""

    rows: Rows
    per_step: int
    steps: int


def course(examples, settings, seed, capacity=None, packed=True, shuffle=True, shares=1):
    """The :class:`Course` of examples by the settings of a training (dict); ``capacity`` replaces its row_tokens.

    ``shuffle``: each epoch has an order of its own; without, every epoch has that of the examples. ``shares``: how many
    processes take the rows of a step in turn; the samples of a step are the same for any number of them.
    """
    batches = packing.draw_batches(len(examples), settings["batch"], settings["epochs"], seed, shuffle)
    lengths = [each.length for each in examples]
    capacity = capacity or settings["row_tokens"]
    steps, rows = packing.pack(batches, lengths, capacity, shares) if packed else packing.one_by_one(batches)
    if shares > 1:
        steps, rows = packing.share(steps, rows, shares, lengths)
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

    rank, shares = processes.position()
    made = TrainingArguments(
        **optimisation(settings, course.steps),
        output_dir=str(folder),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=course.per_step // shares,
        max_steps=course.steps,
        train_sampling_strategy="sequential",
        optim="adamw_torch_fused" if device == "cuda" else "adamw_torch",
        use_cpu=device == "cpu",
        # dropout is drawn anew in every process
        seed=seed + rank,
        save_total_limit=2,
        eval_strategy="steps" if settings["evaluations"] else "no",
        eval_steps=max(1, -(-course.steps // max(1, settings["evaluations"]))),
        remove_unused_columns=False,
        dataloader_pin_memory=device == "cuda",
        average_tokens_across_devices=True,
        # every row passes through every adapter
        ddp_find_unused_parameters=False,
    )
    return on_one_gpu(made)


def optimisation(settings, steps):
    """The arguments of a transformers Trainer that are the same for all trainings of ``steps`` steps."""
    return {
        "learning_rate": settings["learning_rate"],
        "lr_scheduler_type": SCHEDULES.get(settings["schedule"], settings["schedule"]),
        "warmup_steps": round(settings["warmup"] * steps),
        "weight_decay": settings["weight_decay"],
        "max_grad_norm": settings["max_grad_norm"],
        "bf16": settings["dtype"] == "bfloat16",
        "activation_checkpointing": settings["gradient_checkpointing"],
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": -(-steps // settings["checkpoints"]),
        "disable_tqdm": True,
        "report_to": [],
    }


def on_one_gpu(made):
    """TrainingArguments for one card, however many there are: with more, transformers would split every row."""
    # asking for n_gpu looks for the cards; set before, the number would be overwritten
    if made.n_gpu > 1:
        made._n_gpu = 1
    return made


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
            import torch

            own = sum(items(self.objective, batch) for batch in batch_samples)
            if self.args.world_size == 1:
                return own
            return int(self.accelerator.gather(torch.tensor([own], device=device)).sum())

        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            total = self.objective.total(model, inputs)
            if inputs.get("empty"):
                total = total * 0.0
            if self.args.world_size > 1:
                # the mean over the processes is taken of gradients and of logged losses
                total = total * self.args.world_size
            return total / (num_items_in_batch or self.objective.size(inputs))

        def evaluate(self, *_, **__):
            metrics = {"eval_loss": validation_loss(self, self.objective, self.eval_dataset)}
            self.log(metrics)
            self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
            return metrics

    return RowTrainer


def items(objective, batch):
    """What a row counts for in the mean of a step: nothing where it is empty."""
    return 0 if batch.get("empty") else objective.size(batch)


def validation_loss(trainer, objective, rows):
    """The mean loss over all items of validation rows: neither the rows nor their order matter.

    Of several processes each computes its share of the rows.
    """
    import torch

    model, sums = trainer.model.eval(), [0.0, 0]
    rank, shares = processes.position()
    with torch.no_grad(), trainer.compute_loss_context_manager():
        for number in range(rank, len(rows), shares):
            batch = trainer._prepare_inputs(collate([rows[number]]))
            sums[0] += float(objective.total(model, batch))
            sums[1] += objective.size(batch)
    model.train()
    if shares > 1:
        each = torch.tensor([sums], dtype=torch.float64, device=trainer.args.device)
        sums = trainer.accelerator.gather(each).sum(dim=0).tolist()
    return sums[0] / sums[1]


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
    """The log-probabilities of both answers of every pair, a list of ``(chosen, rejected)``.

    Rows are halved as in :func:`train_fitting`; raises StoppedError when one of one pair does not fit.
    """
    found = None
    while found is None:
        rows = validation_rows(examples, capacity)
        found, problem = attempt(_score_rows, model, rows, dtype) if rows else ([], None)
        if problem:
            _, capacity = halved([rows], capacity, problem)
            free_memory()
    return found


def _score_rows(model, rows, dtype):
    import torch

    found = [None] * len(rows.examples)
    with torch.no_grad(), torch.autocast(model.device.type, getattr(torch, dtype), enabled=dtype != "float32"):
        for number, places in enumerate(rows.rows):
            batch = collate([rows[number]])
            batch |= {name: each.to(model.device) for name, each in batch.items() if torch.is_tensor(each)}
            values = segment_log_probabilities(model, batch).view(-1, 2).tolist()
            for place, value in zip(places, values, strict=True):
                found[place] = tuple(value)
    return found


def target_logits(model, batch):
    """``(logits [n, vocabulary], targets [n])`` of the targets of one row: position i predicts token i + 1."""
    labels = batch["labels"][0]
    places = (labels != IGNORED).nonzero()[:, 0]
    inputs = {name: batch[name] for name in ("input_ids", "position_ids")}
    inputs |= {"cu_seq_lens_q": batch["bounds"], "segment_lengths": batch["lengths"]}
    # the last layer may be on another card than the first: places on the host index both
    kept = (places - 1).cpu() if device_maps.is_spread(model) else places - 1
    logits = model(**inputs, logits_to_keep=kept, use_cache=False).logits[0]
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


def train_fitting(model, make_course, settings, folder, *, capacity, on_shrink, resume, validation=None, **options):
    """:func:`train`, with rows half as long each time a GPU's memory does not suffice.

    A step keeps its samples and so its gradient: half the row is twice the accumulation. ``make_course(capacity)``
    gives the course, ``resume(course)`` the checkpoint to go on from; ``on_shrink(old, new)`` is told.
    ``validation``: examples, whose rows are halved too, or None. Raises StoppedError when rows of one sample do not
    fit.
    """
    start = trained(model)
    while True:
        course, held = make_course(capacity), validation_rows(validation, capacity)
        options |= {"resume": resume(course), "validation": held}
        trainer, problem = attempt(train, model, course, settings, folder, **options)
        if not problem:
            return trainer
        longest, capacity = halved([course.rows, held], capacity, problem)
        begin_again(model, start)
        on_shrink(longest, capacity)


def attempt(work, *values, **options):
    """``(work(*values, **options), None)``, or ``(None, what was said)`` when a GPU's memory ran out.

    The error ends here: what it holds of the failed computation would fill the memory of the next one.
    """
    import torch

    try:
        return work(*values, **options), None
    except torch.cuda.OutOfMemoryError as error:
        return None, failures.message(error)


def halved(several, capacity, problem):
    """``(longest, capacity)``: the longest row, and half of it, the capacity of the next attempt.

    ``several``: :class:`Rows`, or None for none; ``problem``: what was said when memory ran out. Raises StoppedError
    where halving is of no use: every row has one sample, or the longest one has, and the others were halved already (a
    long sample alone in its row may not be the one that failed: the others are halved once).
    """
    rows = [
        (sum(each.examples[place].length for place in row), len(row)) for each in several if each for row in each.rows
    ]
    longest = max(size for size, _ in rows)
    alone = any(size == longest and samples == 1 for size, samples in rows)
    if all(samples <= 1 for _, samples in rows) or (alone and capacity <= longest // 2):
        said = f"the GPU's memory does not hold a row of one sample ({longest} tokens): {problem}"
        remedy = "lower max_length, turn on gradient_checkpointing, or take adapter.method qlora"
        raise failures.stopped("out_of_memory", None, {"message": said}, remedy)
    return longest, longest // 2


def trained(model):
    """A copy of what is trained of a model, ``{name: tensor}``."""
    return {name: each.detach().clone() for name, each in model.named_parameters() if each.requires_grad}


def begin_again(model, start):
    """Give a model the parameters of ``start`` back: the steps that a failed attempt made do not count."""
    import torch

    model.zero_grad(set_to_none=True)
    with torch.no_grad():
        for name, each in model.named_parameters():
            if name in start:
                each.copy_(start[name])
    free_memory()


def free_memory():
    """Have a GPU's memory back from what nobody can reach: a failed trainer is a ring of references."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
