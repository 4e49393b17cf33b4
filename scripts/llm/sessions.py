"""A training as a job: its state below .work, its health, its failure record, and the files that it leaves.

A killed job goes on from its last complete checkpoint; a sick one stops, leaves a record and its last healthy adapter.
Where a recipe trains data-parallel, the job holds the state and the record, and its processes (:func:`joined`) train.
"""

import shutil
from contextlib import contextmanager
from pathlib import Path

from scripts.common import devices
from scripts.common.atomic import replacing
from scripts.common.job import progress
from scripts.common.places import study_folder
from scripts.common.results import read_json, write_result
from scripts.common.training import callbacks, failures, health, metrics, states
from scripts.llm import footprints, policies, processes, trainers

METRICS = "metrics.jsonl"


@contextmanager
def opened(job, rule, key, stage=None):
    """The :class:`Session` of a job of ``rule``; ``key`` (a/b allowed) tells it from the rule's other jobs.

    ``stage``: where the job's preflight tells what memory it needs; StudyError where this machine has less. The state
    is removed when the block ends well: by then the outputs are written. Raises what the block raises, after it has
    been recorded in results/<study>/failures.
    """
    study = study_folder(job.output[0])
    device = policies.device_for(job.resources)
    # of several processes each has a card, and looks at its memory itself; one process has them all
    several = processes.number(job.params.get("parallel")) > 1
    cards = 1 if several else max(1, devices.asked(job.resources))
    if not several or device == "cpu":
        require_memory(job, stage, device, cards)
    with states.State.open(Path(".work", study.name), rule, key, job) as state:
        session = Session(state, device, rule, stage, cards)
        policies.use_one_thread()
        try:
            with failures.recording(study, rule, key, files=session.healthy_files, step=session.step):
                yield session
        finally:
            session.writer.close()
        state.close()


def settings_of(job):
    """The settings of a job's training: its params, and how often it saves itself, which is among its resources."""
    return job.params.settings | {"checkpoints": job.resources.checkpoints}


@contextmanager
def joined(job, task):
    """The :class:`Session` of one of several processes of a job, whose state is open in the job's own process.

    ``task``: what :meth:`Session.run` gave to :func:`scripts.llm.processes.launch`.
    """
    if task["device"] == "cuda":
        require_memory(job, task["stage"], "cuda")
    state = states.State(task["folder"], task["lock"])
    session = Session(state, task["device"], task["rule"], task["stage"])
    policies.use_one_thread()
    try:
        yield session
    finally:
        session.writer.close()


def require_memory(job, stage, device, cards=1):
    """Raise StudyError, with figures, where a stage of the job's preflight.json needs more memory than there is here.

    On a GPU rows are halved until they fit: one sample has to. ``cards``: over how many the layers are spread.
    """
    if not stage or not job.input.get("preflight"):
        return
    found, folder = read_json(job.input.preflight)["stages"][stage], study_folder(job.output[0])
    items = found["memory_of_one_sample" if device == "cuda" else "memory"][device]["items"]
    footprints.require_here(footprints.Estimate("memory", items), folder, device, cards)


class Session:
    """One training: ``device`` is cpu or cuda; after :meth:`train`, ``course`` and ``guard`` tell what was done.

    ``cards``: over how many GPUs its layers are spread; ``shares``: how many processes take part; ``rank``: the place
    of this one.
    """

    def __init__(self, state, device, rule=None, stage=None, cards=1):
        self.state, self.device, self.rule, self.stage, self.cards = state, device, rule, stage, cards
        self.course, self.guard, self.shrunk = None, None, []
        self.writer = metrics.Metrics(state.folder / METRICS)
        self.rank, self.shares = processes.position()

    def run(self, train, job):
        """``train(job, session)``: here, or in several processes where the recipe trains data-parallel.

        ``train`` is a function of the rule's script. What one of the processes raises is raised here, once; rows that
        do not fit a GPU are halved, and all of them begin again from the last complete checkpoint.
        """
        number = processes.number(job.params.get("parallel"))
        if number == 1:
            return train(job, self)
        # a script that Snakemake runs is called __main__
        module = f"scripts.llm.{self.rule}" if train.__module__ == "__main__" else train.__module__
        task = {
            "function": f"{module}:{train.__name__}",
            "job": processes.describe(job),
            "rule": self.rule,
            "stage": self.stage,
            "device": self.device,
            "folder": str(self.state.folder),
            "lock": str(self.state.folder.with_name(f".{self.state.folder.name}.lock")),
        }
        progress.info("%d processes", number)
        while True:
            # those that are not complete are removed here, by one process
            self.state.checkpoints()
            try:
                return processes.launch(number, self.state.folder / processes.FOLDER, task)
            except processes.TooLargeError as told:
                _, shrink = self._halving("row_tokens", told.old, "rows of {} tokens")
                shrink(told.old, told.new)
            except BaseException:
                self._look_back(job.params.settings)
                raise

    def _look_back(self, settings):
        """Judge the training by its records: what the processes knew of its health ended with them."""
        # not by watch, which imports transformers: a job whose time is over has seconds left
        self.guard = health.Guard(learning_rate=settings["learning_rate"])
        for record in self.records():
            self.guard.observe(record)

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
        fit after it. In one of several processes ``shrink`` ends it: the job starts all of them again.
        """
        size, shrink = self._halving(name, size, what)
        if self.shares == 1:
            return size, shrink

        def tell(old, new):
            raise processes.TooLargeError(old, new)

        return size, tell

    def _halving(self, name, size, what):
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
        path = self.state.folder / METRICS
        return metrics.read(path) if path.exists() else []

    def save_metrics(self, path):
        """Put metrics.jsonl where the rule wants it."""
        with replacing(path) as temporary:
            shutil.copyfile(self.state.folder / METRICS, temporary)

    def save(self, job, model, base, body):
        """Write the four files of a trained policy: adapter, its config, metrics and summary.

        ``base``: the name of the base in the adapter's config; ``body``: what the summary says beside the course. Of
        several processes the first one writes.
        """
        if self.rank:
            return
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
