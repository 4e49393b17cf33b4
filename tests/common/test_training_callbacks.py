"""With the real Trainer: faults stop it, kills cost nothing, half-written checkpoints do not count."""

import os
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from scripts.common.job import Job
from scripts.common.training import callbacks, failures, metrics
from scripts.common.training.health import Guard, Thresholds
from scripts.common.training.states import MARKER, State

ROOT = Path(__file__).parents[2]
STEPS = 24
pytestmark = pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning")


def data(number=96, broken=None):
    """Samples of a linear relation; that at place ``broken`` is NaN."""
    import torch

    draw = torch.Generator().manual_seed(5)
    x = torch.randn(number, 4, generator=draw)
    y = x @ torch.tensor([1.0, -2.0, 0.5, 0.0]) + 0.1 * torch.randn(number, generator=draw)
    if broken is not None:
        x[broken] = float("nan")
    return [{"x": x[n], "y": y[n]} for n in range(number)]


def make_model():
    import torch

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inside, self.outside = torch.nn.Linear(4, 8), torch.nn.Linear(8, 1)
            self.drop = torch.nn.Dropout(0.2)

        def forward(self, x, y):
            scores = self.outside(self.drop(torch.tanh(self.inside(x))))[:, 0]
            return {"loss": ((scores - y) ** 2).mean(), "scores": scores}

    torch.manual_seed(3)
    return Model()


def job(rate=0.01):
    return Job(params={"learning_rate": rate})


def train(root, *, rate=0.01, samples=None, guard=None, extra=(), optim="adamw_torch", evaluations=6, before=None):
    """One training of ``STEPS`` steps with a checkpoint each fourth; ``(state, health, weights)``, the state open."""
    from transformers import Trainer, TrainingArguments

    state = State.open(root, "train_toy", "run", job(rate))
    guard = guard or Guard(learning_rate=rate)
    writer = metrics.Metrics(state.folder / "metrics.jsonl")
    health = callbacks.health_callback(guard, writer)
    options = {
        "output_dir": str(state.folder),
        "max_steps": STEPS,
        "per_device_train_batch_size": 4,
        "learning_rate": rate,
        "optim": optim,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_steps": 4,
        "save_total_limit": 1,
        "eval_strategy": "steps" if evaluations else "no",
        "eval_steps": evaluations or None,
        "seed": 11,
        "use_cpu": True,
        "bf16": False,
        "report_to": [],
        "disable_tqdm": True,
        "max_grad_norm": 1e9,
        "dataloader_pin_memory": False,
        "remove_unused_columns": False,
        "label_names": ["y"],
    }
    trainer = Trainer(
        model=make_model(),
        args=TrainingArguments(**options),
        train_dataset=samples or data(),
        eval_dataset=data(8),
        callbacks=[*extra, health, callbacks.checkpoint_callback(state, writer, guard)],
    )
    try:
        trainer.train(resume_from_checkpoint=state.resume(before))
    except BaseException:
        state.release()
        raise
    weights = {name: value.numpy().tobytes() for name, value in trainer.model.state_dict().items()}
    return state, health, weights


def killer(at, event):
    """A callback that kills its process with SIGKILL in an event after ``at`` steps."""
    from transformers import TrainerCallback

    def kill(self, args, state, control, **kwargs):
        if state.global_step == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return type("Killer", (TrainerCallback,), {event: kill})()


# the killed processes are forked from one that has imported torch: an import each would take most of the time
KILLS = {"step": (7, "on_step_end"), "logged": (10, "on_log"), "saving": (12, "on_save"), "first": (2, "on_step_end")}
FORKS = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from tests.common import test_training_callbacks as tests
import torch, transformers
for name, (at, event) in tests.KILLS.items():
    child = os.fork()
    if not child:
        tests.train(sys.argv[1] + "/" + name, extra=[tests.killer(at, event)])
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9, name
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The roots of trainings that were killed, by name."""
    root = tmp_path_factory.mktemp("killed")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run([sys.executable, "-c", FORKS, str(root)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return {name: root / name for name in KILLS}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """(weights, metrics.jsonl) of a training that nothing happened to."""
    state, health, weights = train(tmp_path_factory.mktemp("undisturbed"))
    assert health.finding is None
    return weights, (state.folder / "metrics.jsonl").read_bytes()


def test_every_step_and_validation_is_written_and_the_last_checkpoints_stay(tmp_path):
    state, _, _ = train(tmp_path)
    records = metrics.read(state.folder / "metrics.jsonl")
    steps = [each for each in records if "loss" in each]
    assert [each["step"] for each in steps] == list(range(1, STEPS + 1))
    assert all(set(each) == {"step", "loss", "gradient_norm", "learning_rate"} for each in steps)
    assert steps[0]["learning_rate"] == 0.01
    assert [each["step"] for each in records if "validation_loss" in each] == [6, 12, 18, 24]
    assert [each.step for each in state.checkpoints()] == [20, 24]


@pytest.mark.parametrize(("name", "resumed_at"), [("step", 4), ("logged", 8), ("saving", 8), ("first", 0)])
def test_a_killed_training_ends_as_if_nothing_had_happened(killed, undisturbed, name, resumed_at, tmp_path):
    folder = killed[name] / "train_toy/run"
    if name == "saving":
        assert (folder / "checkpoint-12/model.safetensors").exists()  # all files but the marker
    with State.open(killed[name], "train_toy", "run", job()) as state:
        assert [each.step for each in state.checkpoints()][-1:] == [resumed_at] * bool(resumed_at)
    state, health, weights = train(killed[name])
    assert weights == undisturbed[0]
    assert health.guard.steps == STEPS  # the guard has seen the steps before the kill too
    assert (state.folder / "metrics.jsonl").read_bytes() == undisturbed[1]
    state.close()
    assert not folder.exists()


@pytest.mark.parametrize("damage", ["no marker", "cut file", "other bytes", "missing file"])
def test_a_checkpoint_that_is_not_whole_is_not_taken(tmp_path, damage):
    state, _, _ = train(tmp_path)
    last = state.checkpoint_folder(STEPS)
    weights = last / "model.safetensors"
    content = weights.read_bytes()
    if damage == "no marker":
        (last / MARKER).unlink()
    elif damage == "cut file":
        weights.write_bytes(content[:-1])
    elif damage == "other bytes":
        weights.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    else:
        weights.unlink()
    assert [each.step for each in state.checkpoints()] == [20]
    assert not last.exists() and state.resume().endswith("checkpoint-20")
    state.release()


def test_a_broken_sample_stops_at_its_step_and_the_checkpoint_before_is_whole(tmp_path):
    state, health, _ = train(tmp_path, samples=data(broken=13))
    records = metrics.read(state.folder / "metrics.jsonl")
    finding = health.finding
    (step,) = [each["step"] for each in records if each.get("loss", 0) is None]
    assert (finding.kind, finding.step, finding.severity) == ("non_finite", step, "stop")
    assert records[-1] == {"step": step, "loss": None, "gradient_norm": None} | {
        "learning_rate": records[-1]["learning_rate"],
        "non_finite": True,
    }
    assert f"broken or empty samples in step {step}" in finding.remedy
    healthy = state.healthy(health.guard.proven)
    assert healthy.step <= step - 2
    assert all(each.step < step for each in state.checkpoints())
    state.release()
    failures.write(
        tmp_path / "results", "train_toy", "run", finding, [healthy.folder / "model.safetensors"], healthy.step
    )
    copy = tmp_path / "results/failures/train_toy/run.checkpoint/model.safetensors"
    assert sha256(copy.read_bytes()).digest() == sha256((healthy.folder / "model.safetensors").read_bytes()).digest()


def test_a_learning_rate_far_too_high_is_called_divergence(tmp_path):
    state, health, _ = train(tmp_path, rate=1e4, optim="sgd", evaluations=0)
    assert health.finding.kind == "diverged" and health.finding.step == 4
    assert health.finding.remedy.startswith("lower learning_rate from 1e+04 to 1e+03")
    losses = [each["loss"] for each in metrics.read(state.folder / "metrics.jsonl")]
    assert len(losses) == 4 and min(losses[1:]) > 10 * losses[0]
    # checkpoint 4 would hold the diverged weights
    assert state.checkpoints() == []
    state.release()


def test_divergence_found_late_does_not_cost_the_checkpoint_that_was_good(tmp_path):
    """With so much patience three checkpoints of diverged weights follow the last good one."""
    samples = data()
    guard = Guard(Thresholds(blowup_patience=13, blowup_factor=20, lost_factor=20), learning_rate=0.01)

    def explode(self, args, state, control, optimizer=None, **kwargs):
        if state.global_step == 9:
            for group in optimizer.param_groups:
                for each in group["params"]:
                    each.data += 1e4

    from transformers import TrainerCallback

    bomb = type("Bomb", (TrainerCallback,), {"on_step_begin": explode})()
    state, health, _ = train(tmp_path, samples=samples, guard=guard, extra=[bomb])
    assert health.finding.kind == "diverged" and health.finding.step == 22
    assert health.finding.evidence["above_since"] == 10 and guard.proven == 8
    assert [each.step for each in state.checkpoints()] == [8, 16, 20]
    assert state.healthy(guard.proven).step == 8
    state.release()


def test_a_training_that_starts_again_leaves_no_later_checkpoints(tmp_path):
    """A trainer that is made again, for smaller rows, starts at step 0 in the folder of the one before."""
    from transformers import TrainerCallback

    state, _, weights = train(tmp_path)
    state.release()
    seen = []

    def look(self, args, state, control, **kwargs):
        seen.append(sorted(path.name for path in Path(args.output_dir).glob("checkpoint-*")))

    spy = type("Spy", (TrainerCallback,), {"on_step_end": look})()
    state, _, again = train(tmp_path, before=1, extra=[spy])
    assert seen[0] == [] and again == weights
    assert [each.get("step") for each in metrics.read(state.folder / "metrics.jsonl")][:3] == [1, 2, 3]
    state.release()


def test_a_finished_training_makes_no_step_too_many(tmp_path):
    """Killed after its last checkpoint and before its outputs, in the middle of an epoch of 25 steps."""
    state, _, weights = train(tmp_path, samples=data(100))
    written = (state.folder / "metrics.jsonl").read_bytes()
    state.release()
    with pytest.raises(ValueError, match="resume"):
        train(tmp_path, samples=data(100))
    state, _, again = train(tmp_path, samples=data(100), before=STEPS)
    assert again == weights and (state.folder / "metrics.jsonl").read_bytes() == written
    state.release()
