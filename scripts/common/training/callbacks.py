"""The guard, the metrics and the state as callbacks of transformers' Trainer.

The trainer's arguments need ``logging_steps=1`` and ``logging_nan_inf_filter=False`` (else a loss that is not finite
is told as the mean of those before), and ``output_dir`` is the state's folder. transformers is imported by the
functions: planning a study must not wait for it.
"""

import functools
import logging

from scripts.common.training import metrics

log = logging.getLogger(__name__)


def health_callback(guard, writer, also=None):
    """A TrainerCallback that feeds ``guard`` and writes ``writer`` (:class:`scripts.common.training.metrics.Metrics`).

    A finding that stops ends the training after the step; ``callback.finding`` has it (None for a healthy one), and
    that step's checkpoint is not saved. ``also``: further figures of the trainer's log by the name they get in
    metrics.jsonl (``{"rewards/margins": "margin"}``).
    """
    return _health_class()(guard, writer, also or {})


def checkpoint_callback(state, writer=None, guard=None):
    """A TrainerCallback that completes each checkpoint of ``state`` once it was saved, and removes older ones.

    ``writer``: its records reach the disk before the checkpoint counts. ``guard``: the newest checkpoint whose weights
    it knows to be good stays beside the last two. The trainer's own save_total_limit is set aside.
    """
    return _checkpoint_class()(state, writer, guard)


def first_callback(check):
    """A TrainerCallback that gives the record of the first step to ``check``, which may raise to end the training."""
    return _first_class()(check)


@functools.cache
def _health_class():
    from transformers import TrainerCallback

    class HealthCallback(TrainerCallback):
        def __init__(self, guard, writer, also):
            self.guard, self.writer, self.also = guard, writer, also

        @property
        def finding(self):
            return self.guard.stopped

        def on_train_begin(self, args, state, control, **kwargs):
            if state.is_world_process_zero:
                records = self.writer.resume(state.global_step)
            else:
                # the first process may be cutting the file just now: what stays is the same before and after
                records, _ = metrics.before(self.writer.path, state.global_step)
            self.guard.reset()
            for record in records:
                self.guard.observe(record)
            self._obey(control)

        def on_log(self, args, state, control, logs=None, **kwargs):
            also = {name: logs[key] for key, name in self.also.items() if key in logs}
            if "loss" in logs:
                rest = (logs["loss"], logs.get("grad_norm"), logs.get("learning_rate"))
                record = metrics.of_step(state.global_step, *rest, **also)
            elif "eval_loss" in logs:
                record = metrics.of_validation(state.global_step, logs["eval_loss"])
            else:
                return  # the summary at the end
            if state.is_world_process_zero:
                self.writer.write(record)
            for each in self.guard.observe(record):
                log.info("step %s: %s (%s): %s. %s", each.step, each.kind, each.severity, each.evidence, each.remedy)
            self._obey(control)

        def on_epoch_end(self, args, state, control, **kwargs):
            self._obey(control)

        def on_train_end(self, args, state, control, **kwargs):
            self.writer.close()

        def _obey(self, control):
            if self.guard.stopped:
                control.should_training_stop = True
                # what follows is of no use, and the checkpoint would be poisoned
                control.should_save = control.should_evaluate = False

    return HealthCallback


@functools.cache
def _checkpoint_class():
    from transformers import TrainerCallback

    class CheckpointCallback(TrainerCallback):
        def __init__(self, state, writer, guard):
            self.state, self.writer, self.guard = state, writer, guard

        def on_train_begin(self, args, state, control, **kwargs):
            if 0 < state.max_steps <= state.global_step and state.epoch < state.num_train_epochs:
                raise ValueError(
                    f"the checkpoint of step {state.global_step} is the last one, and the trainer would make another "
                    "step: resume from state.resume(before=max_steps)"
                )
            # the trainer would remove the last complete checkpoint before the new one is complete
            args.save_total_limit = None
            if state.is_world_process_zero:
                self.state.discard_after(state.global_step)

        def on_save(self, args, state, control, **kwargs):
            if args.world_size > 1:
                # every process has files in the checkpoint, and it is complete with all of them
                import torch

                torch.distributed.barrier()
            if not state.is_world_process_zero:
                return
            if self.writer is not None:
                self.writer.sync()
            self.state.complete(state.global_step)
            best = [state.best_global_step] if state.best_global_step else []
            self.state.prune(self.guard.proven if self.guard else None, protect=best)

    return CheckpointCallback


@functools.cache
def _first_class():
    from transformers import TrainerCallback

    class FirstCallback(TrainerCallback):
        def __init__(self, check):
            self.check = check

        def on_log(self, args, state, control, logs=None, **kwargs):
            if state.global_step == 1 and "loss" in logs:
                self.check(metrics.of_step(1, logs["loss"]))

    return FirstCallback
