"""A training as a job: its state below .work, its health, its failure record, and the files that it leaves.

A killed job goes on from its last complete checkpoint; a sick one stops, leaves a record and its last healthy adapter.
"""

import shutil
from contextlib import contextmanager
from pathlib import Path

from scripts.common.atomic import replacing
from scripts.common.job import progress
from scripts.common.results import read_json, write_result
from scripts.common.training import callbacks, failures, health, metrics, states
from scripts.llm import footprints, policies, trainers

METRICS = "metrics.jsonl"


@contextmanager
def opened(job, rule, key, stage=None):
    """The :class:`Session` of a job of ``rule``; ``key`` (a/b allowed) tells it from the rule's other jobs.

    ``stage``: where the job's preflight tells what memory it needs; StudyError where this machine has less. The state
    is removed when the block ends well: by then the outputs are written. Raises what the block raises, after it has
    been recorded in results/<study>/failures.
    """
    study = Path(*Path(job.output[0]).parts[:2])
    device = policies.device_for("auto", job.resources.get("gpu", 0))
    if stage and job.input.get("preflight"):
        require_memory(read_json(job.input.preflight)["stages"][stage], study, device)
    with states.State.open(Path(".work", study.name), rule, key, job) as state:
        session = Session(state, device)
        policies.use_one_thread()
        try:
            with failures.recording(study, rule, key, files=session.healthy_files, step=session.step):
                yield session
        finally:
            session.writer.close()
        state.close()


def require_memory(stage, folder, device):
    """Raise StudyError, with figures, where a stage of preflight.json needs more memory than there is here.

    On a GPU rows are halved until they fit: one sample has to.
    """
    items = stage["memory_of_one_sample" if device == "cuda" else "memory"][device]["items"]
    footprints.require_here(footprints.Estimate("memory", items), folder, device)


class Session:
    """One training: ``device`` is cpu or cuda; after :meth:`train`, ``course`` and ``guard`` tell what was done."""

    def __init__(self, state, device):
        self.state, self.device, self.course, self.guard, self.shrunk = state, device, None, None, []
        self.writer = metrics.Metrics(state.folder / METRICS)

    def train(self, model, make_course, settings, *, objective, validation, seed, first=None):
        """Train ``model`` in place: see :func:`scripts.llm.trainers.train_fitting`.

        ``validation``: examples or None; ``first``: is given the record of the first step, and may raise. Raises
        :class:`scripts.common.training.failures.StoppedError` when the training is sick or does not fit.
        """
        capacity, shrink = self.fitting("row_tokens", settings["row_tokens"], "rows of {} tokens")
        watchers = self.watch(settings) + ([callbacks.first_callback(first)] if first else [])

        def course(capacity):
            self.course = make_course(capacity)
            return self.course

        trainers.train_fitting(
            model,
            course,
            settings,
            self.state.folder,
            capacity=capacity,
            on_shrink=shrink,
            objective=objective,
            validation=validation,
            seed=seed,
            device=self.device,
            callbacks=watchers,
            resume=lambda course: self.state.resume(before=course.steps),
        )
        self.require_health()

    def fitting(self, name, size, what):
        """``(size, shrink)``: how much is computed at once, and what to call when it did not fit: ``shrink(old, new)``.

        ``name``: of the size; ``what``: it in words, as "rows of {} tokens". What did not fit before a kill does not
        fit after it.
        """
        self.shrunk = self.state.recall("shrunk", [])

        def shrink(old, new):
            self.shrunk.append([old, new])
            self.state.remember(name, new)
            self.state.remember("shrunk", self.shrunk)
            progress.info("out of GPU memory: %s instead of %d, more of them in a step", what.format(new), old)

        return self.state.recall(name, size), shrink

    def watch(self, settings, scale=0.1, also=None):
        """The callbacks that keep a transformers Trainer's checkpoints, metrics and health."""
        self.guard = health.Guard(health.Thresholds(scale=scale), learning_rate=settings["learning_rate"])
        return [
            callbacks.checkpoint_callback(self.state, self.writer, self.guard),
            callbacks.health_callback(self.guard, self.writer, also),
        ]

    def require_health(self):
        """Raise StoppedError, with the last healthy adapter, when the guard has stopped the training."""
        if self.guard.stopped:
            files, step = self.healthy_files()
            raise failures.StoppedError(self.guard.stopped, files, step)

    def healthy_files(self):
        """``(files, step)`` of the adapter in the last healthy checkpoint."""
        checkpoint = self.guard and self.state.healthy(self.guard.proven)
        if not checkpoint:
            return (), None
        return [file for name in policies.ADAPTER if (file := checkpoint.folder / name).exists()], checkpoint.step

    def step(self):
        """The last step that was logged, or None."""
        return self.guard.steps if self.guard else None

    def records(self):
        """The records of metrics.jsonl so far."""
        return metrics.read(self.state.folder / METRICS)

    def save_metrics(self, path):
        """Put metrics.jsonl where the rule wants it."""
        with replacing(path) as temporary:
            shutil.copyfile(self.state.folder / METRICS, temporary)

    def save(self, job, model, base, body):
        """Write the four files of a trained policy: adapter, its config, metrics and summary.

        ``base``: the name of the base in the adapter's config; ``body``: what the summary says beside the course.
        """
        policies.save_adapter(model, base, self.state.folder / "final", job.output.adapter, job.output.config)
        self.save_metrics(job.output.metrics)
        losses = [each["loss"] for each in self.records() if "loss" in each]
        validations = [each["validation_loss"] for each in self.records() if "validation_loss" in each]
        summary = body | {
            "steps": len(losses),
            "first_loss": losses[0] if losses else None,
            "validation_losses": validations,
            "health": self.guard.summary(),
            "rows_halved": self.shrunk if self.course else [],
        }
        if self.course:
            summary |= {"rows_per_step": self.course.per_step, "tokens": self.course.rows.tokens()}
        write_result(job.output.summary, "training/1", summary, job)
