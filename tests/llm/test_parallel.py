"""Trainings on several devices: what they optimise, who writes, who ends with whom, and where layers are put.

Two processes on the CPU talk through gloo, as those on GPUs do through NCCL. Layers on several GPUs are only planned
here: no test computes on one.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from scripts.common.errors import StudyError
from scripts.common.job import Names
from scripts.common.training import failures, metrics
from scripts.llm import (
    check_recipe,
    device_maps,
    examples,
    footprints,
    packing,
    policies,
    processes,
    recipe_checks,
    train_dpo,
    train_sft,
    trainers,
    weights,
)
from scripts.llm.settings import Parallel, Recipe
from tests.llm import models
from tests.llm import test_train_chain as chain
from tests.llm.test_trainers import made, settings

pytestmark = [
    # PEFT 0.21 asks transformers 5.23 by an older name
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    # torchrun's agent does not close the files from which it copies what its processes say
    pytest.mark.filterwarnings("ignore:unclosed file .*/processes/logs/:ResourceWarning"),
]
TWO = {"kind": "data", "devices": 2}
# 21 samples in steps of 4: the last step has one, and the second process nothing to do in it
CHANGES = {"samples": 21, "epochs": 1, "gradient_checkpointing": True, "checkpoints": 3, "evaluations": 1}
TOLERANCE = 1e-5  # of losses (about 5) and of an adapter's weights: sums of float32 in another order


def job(study, parallel=TWO, **changes):
    made = chain.sft_job(study=study, **(CHANGES | changes))
    made.params = Names({**dict(made.params.items()), "parallel": parallel})
    made.params.append("scripts/llm/train_sft.py@0123456789")
    return made


def train(study, parallel=TWO, **changes):
    """Run train_sft; its folder."""
    train_sft.main(job(study, parallel, **changes))
    return Path(f"results/{study}/llm/r/sft/a")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder with a base, data, and study two: a training in two processes that nothing disturbed."""
    folder = tmp_path_factory.mktemp("parallel")
    models.make_base(folder / "tiny", shape=chain.SHAPE)
    chain.write_data(folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train("two")
    return folder


@pytest.fixture
def study(source, tmp_path, monkeypatch):
    """A working directory with the inputs and study two; threads are as they were afterwards."""
    shutil.copytree(source, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    before = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(before)


def furthest(first, second):
    """The largest difference between the weights of two adapters."""
    first, second = (load_file(Path(each, "adapter_model.safetensors")) for each in (first, second))
    assert first.keys() == second.keys()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def same_course(first, second):
    """Whether two trainings went alike, record by record, but for rounding."""
    first, second = (metrics.read(Path(each, "metrics.jsonl")) for each in (first, second))
    assert [each.keys() for each in first] == [each.keys() for each in second]
    return all(
        each[name] == pytest.approx(other[name], abs=TOLERANCE)
        for each, other in zip(first, second, strict=True)
        for name in each
    )


# data parallel --------------------------------------------------------------------------------------------------------


def test_two_processes_train_what_one_trains(study):
    """LoRA, DDP and gradient checkpointing: the history had "element 0 of tensors does not require grad" here."""
    two, one = Path("results/two/llm/r/sft/a"), train("one", Parallel().model_dump(mode="json"))
    assert len(chain.losses(two)) == 6 and len(chain.losses(two, "validation_loss")) == 1
    assert same_course(two, one)
    assert furthest(two, one) < TOLERANCE
    # which is far less than what was learned
    moved = [each for name, each in load_file(two / "adapter_model.safetensors").items() if "lora_B" in name]
    assert max(float(each.abs().max()) for each in moved) > 100 * TOLERANCE
    assert not list(Path(".work/two").rglob("*.json"))
    told, alone = chain.summary(two), chain.summary(one)
    assert told["code"] == alone["code"] and told["config"] != alone["config"]
    assert (told["samples"], told["steps"], told["tokens"]) == (alone["samples"], alone["steps"], alone["tokens"])


def killing(parent_signal):
    """A training of which the first process, before its fourth step, ends the job (its parent) by a signal."""

    def started(session):
        Path(f"pid_{session.rank}").write_text(str(os.getpid()))
        total, calls = trainers.Imitation.total, []

        def stop(model, batch):
            calls.append(model.training)
            if session.rank == 0 and sum(calls) > 3:
                os.kill(os.getppid(), parent_signal)
                signal.pause()
            return total(model, batch)

        trainers.Imitation.total = staticmethod(stop)

    return started


def train_until_job_is_killed(job, session):
    killing(signal.SIGKILL)(session)
    WHOLE(job, session)


def train_until_job_is_asked_to_end(job, session):
    killing(signal.SIGTERM)(session)
    WHOLE(job, session)


WHOLE = train_sft.train
KILLED = """
import sys
from scripts.llm import train_sft
from tests.llm import test_parallel
train_sft.train = getattr(test_parallel, sys.argv[1])
train_sft.main(test_parallel.job("again"))
"""


def gone(pid):
    """Whether a process has ended; one that nobody has asked for its status counts."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_processes_end_with_their_job_and_go_on_with_the_next(study, how):
    name = "train_until_job_is_killed" if how == signal.SIGKILL else "train_until_job_is_asked_to_end"
    environment = os.environ | {"PYTHONPATH": str(chain.ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, name], env=environment, cwd=study, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == (-how if how == signal.SIGKILL else 128 + how), done.stderr
    pids = [int(Path(f"pid_{rank}").read_text()) for rank in (0, 1)]
    for _ in range(300):
        if all(map(gone, pids)):
            break
        time.sleep(0.1)
    assert all(map(gone, pids))
    record = Path("results/again/failures/train_sft/r/a.json")
    if how == signal.SIGTERM:
        # a scheduler's time limit: the checkpoint of step 2 counts, and the next attempt goes on from it
        assert json.loads(record.read_text())["class"] == "killed"
        begun = Path(".work/again/train_sft/r/a/checkpoint-2/complete.json")
        assert json.loads(begun.read_text())["files"].keys() >= {"rng_state_0.pth", "rng_state_1.pth"}
        assert chain.content(train("again")) == chain.content("results/two/llm/r/sft/a")
        assert json.loads(record.read_text())["resolved"] is True
    else:
        assert not record.exists()


def train_with_a_process_that_dies(job, session):
    total, calls = trainers.Imitation.total, []

    def die(model, batch):
        calls.append(model.training)
        if session.rank == 1 and sum(calls) > 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return total(model, batch)

    trainers.Imitation.total = staticmethod(die)
    WHOLE(job, session)


def test_when_one_process_dies_the_others_end_and_the_error_names_it(study, monkeypatch):
    monkeypatch.setattr(train_sft, "train", train_with_a_process_that_dies)
    with pytest.raises(processes.ProcessError, match="process 1 of 2 was ended by SIGKILL; .* no memory left"):
        train("again")
    record = json.loads(Path("results/again/failures/train_sft/r/a.json").read_text())
    assert "process 1 of 2" in record["evidence"]["message"]
    # what was trained is known, and the last healthy adapter kept
    assert (record["step"], record["checkpoint"]["step"]) == (4, 2)
    assert Path("results/again/failures/train_sft/r/a.checkpoint/adapter_model.safetensors").exists()
    assert not Path("results/again/llm/r/sft/a/training.json").exists()


def train_on_a_full_card(job, session):
    """The second card takes rows of 64 tokens at most."""
    total = trainers.Imitation.total

    def full(model, batch):
        if session.rank == 1 and model.training and batch["input_ids"].shape[1] > 64:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return total(model, batch)

    trainers.Imitation.total = staticmethod(full)
    WHOLE(job, session)


def test_rows_that_do_not_fit_one_card_are_halved_for_all(study, monkeypatch):
    monkeypatch.setattr(train_sft, "train", train_on_a_full_card)
    folder = train("again")
    ((before, after),) = chain.summary(folder)["rows_halved"]
    assert before > 64 >= after == before // 2
    assert chain.summary(folder)["rows_per_step"] > chain.summary("results/two/llm/r/sft/a")["rows_per_step"]
    assert same_course(folder, "results/two/llm/r/sft/a")


def test_dpo_in_two_processes_is_that_of_one(study):
    adapter, found = "results/two/llm/r/sft/a", []
    chain.score(adapter)
    for parallel in (Parallel().model_dump(mode="json"), TWO):
        given = {"reference": chain.SCORES["scores"], "account": chain.SCORES["account"]}
        folder = f"results/{parallel['kind']}/llm/r/dpo"
        # 18 pairs in steps of 4
        options = chain.trained_on(chain.dpo_settings(epochs=1), four_bit=False)
        train_dpo.main(
            chain.Job(
                input=chain.base_files() | chain.adapter_of(adapter) | chain.PAIRS | given,
                output=chain.outputs(folder),
                params=options["params"] | {"parallel": parallel},
                resources=options["resources"],
                wildcards={"recipe": "r"},
            )
        )
        found.append(folder)
    assert same_course(*found)
    assert furthest(*found) < TOLERANCE
    assert chain.summary(found[1])["first_loss"] == pytest.approx(0.693147, abs=1e-5)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("shares", [1, 2, 3])
def test_a_step_has_the_same_samples_for_any_number_of_processes(packed, shares):
    found, chosen = made([40, 9, 30, 4, 17, 8, 12, 5, 22, 31]), settings(batch=6, epochs=2)
    one = trainers.course(found, chosen, 1, packed=packed)
    several = trainers.course(found, chosen, 1, packed=packed, shares=shares)
    assert several.steps == one.steps and several.per_step % shares == 0
    assert len(several.rows) == several.steps * several.per_step or shares == 1
    for step in range(one.steps):
        samples = [
            sorted(
                each for row in course.rows.rows[step * course.per_step : (step + 1) * course.per_step] for each in row
            )
            for course in (one, several)
        ]
        assert samples[0] == samples[1]
    assert several.rows.tokens() == one.rows.tokens()


def test_an_empty_row_counts_for_nothing_and_is_short():
    found = made([40, 9, 30])
    steps, rows = packing.share([[[0], [2]], [[1]]], 2, 2, [40, 9, 30])
    course = examples.Rows(found, steps)
    assert (rows, len(course)) == (2, 4)
    empty = examples.collate([course[3]])
    assert empty["empty"] is True and empty["input_ids"].shape == (1, 9)
    assert (
        trainers.items(trainers.Imitation(), empty)
        == 0
        < trainers.items(trainers.Imitation(), examples.collate([course[2]]))
    )


def test_of_several_errors_the_one_that_came_first_is_told(tmp_path):
    def told(exits, errors):
        for path in tmp_path.glob("error_*.json"):
            path.unlink()
        for rank, (error, moment) in errors.items():
            processes._tell(tmp_path / f"error_{rank}.json", error)
            said = json.loads((tmp_path / f"error_{rank}.json").read_text()) | {"time": moment}
            (tmp_path / f"error_{rank}.json").write_text(json.dumps(said))
        return processes._cause(exits, 3, tmp_path)

    lost = RuntimeError("Connection closed by peer")
    found = told({1: 1, 0: 1}, {0: (lost, 2), 1: (ValueError("out of range"), 1)})
    assert isinstance(found, processes.ProcessError) and str(found).endswith(
        "process 1 of 3 failed: ValueError: out of range"
    )
    # who was killed says nothing, and who misses it may be noticed before
    for exits in ({2: -11, 0: 1}, {0: 1, 2: -11}, {0: 1, 1: -6, 2: -11}):
        assert "process 2 of 3 was ended by SIGSEGV" in str(told(exits, {0: (lost, 1)}))
    assert "Connection closed" in str(told({0: 1, 1: -6}, {0: (lost, 1)}))
    # what was found out is told before what follows from it
    stopped = failures.stopped("out_of_memory", 3, {"message": "full"})
    found = told({1: 1, 0: 1}, {0: (stopped, 2), 1: (lost, 1)})
    assert isinstance(found, failures.StoppedError) and found.finding == stopped.finding
    assert isinstance(told({0: 1}, {0: (StudyError("no samples"), 1)}), StudyError)
    large = told({1: 1, 0: -15}, {1: (processes.TooLargeError(128, 64), 1)})
    assert (large.old, large.new) == (128, 64)
    assert "ended with status 3" in str(told({0: 3}, {}))


# settings and preflight -----------------------------------------------------------------------------------------------


def recipe(**changes):
    return Recipe.model_validate({"base": "b", "corpus": "c"} | changes)


def test_devices_that_make_no_sense_are_refused():
    assert recipe().parallel == Parallel(kind="none", devices=1)
    for parallel, said in (
        ({"devices": 2}, "need a kind: data where the base fits"),
        ({"kind": "data"}, "kind data needs at least 2"),
        ({"kind": "data", "devices": 3}, r"phases.all: sft.batch of 16 samples is no multiple of parallel.devices"),
    ):
        with pytest.raises(ValueError, match=said):
            recipe(parallel=parallel)
    with pytest.raises(ValueError, match="dpo.batch of 6 samples"):
        recipe(parallel={"kind": "data", "devices": 4}, dpo={"batch": 6})
    # layers are spread whatever the batch
    recipe(parallel={"kind": "model", "devices": 3})


def test_memory_is_that_of_all_processes_on_a_host_and_of_one_card_on_gpus(source):
    shapes = footprints.shape(weights.read_config(source / "tiny"), weights.Weights(source / "tiny"))
    found = recipe().model_dump(mode="json")
    measured = recipe_checks.Lengths([30] * 40, [10] * 40, [], 30)

    def needs(kind, devices, stage="sft-all"):
        parallel = {"kind": kind, "devices": devices}
        chosen = found["sft"] | ({"max_new_tokens": 8} if stage == "grpo" else {})
        return recipe_checks.needs(shapes, found["adapter"], stage, chosen, measured, parallel)["memory"]

    one, data, model = needs("none", 1), needs("data", 2), needs("model", 2)
    assert data["cpu"].total == 2 * one["cpu"].total and data["cuda"] == one["cuda"]
    assert model["cpu"] == one["cpu"] and model["cuda"].total < one["cuda"].total
    # two blocks on two cards
    assert model["cuda"].items["frozen weights"] == round(one["cuda"].items["frozen weights"] / 2)
    assert model["cuda"].items["work in a block"] == one["cuda"].items["work in a block"]
    assert needs("data", 2, "grpo") == needs("none", 1, "grpo")


def test_a_machine_with_too_few_gpus_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda card: None)
    assert policies.device_for({"gpu": 2}) == "cuda"
    with pytest.raises(StudyError, match="asked for 4 GPU and finds 2 "):
        policies.device_for({"gpu": 4})
    assert check_recipe.number_of_gpus() == 2


# model parallel: planned, not run -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """A base of 6 equal blocks, and the bytes of one of them in float32."""
    folder, _ = models.make_base(tmp_path_factory.mktemp("deep") / "base", shape=models.SHAPE | {"layers": 6})
    blocks = [name for name in weights.Weights(folder).names if ".layers.0." in name]
    return folder, 4 * sum(torch.Size(weights.Weights(folder).shape(name)).numel() for name in blocks)


def blocks_on(found):
    """How many blocks each card has."""
    cards = [card for name, card in found.items() if ".layers." in name]
    return [cards.count(card) for card in sorted(set(cards))]


def test_layers_are_spread_evenly_and_whole(deep):
    folder, block = deep
    found = device_maps.spread(folder, {0: 100 * block, 1: 100 * block}, "float32")
    assert set(found.values()) == {0, 1} and sum(blocks_on(found)) == 6
    assert max(blocks_on(found)) <= 4
    assert all(name.count(".") == 2 for name in found if ".layers." in name), "a block was split"
    assert len(blocks_on(device_maps.spread(folder, dict.fromkeys(range(3), 100 * block), "float32"))) == 3


def test_layers_that_do_not_fit_the_cards_are_an_error_and_go_nowhere_else(deep):
    folder, block = deep
    with pytest.raises(StudyError, match=r"do not fit 2 GPUs \(card 0 has .* would be left; give parallel.devices"):
        device_maps.spread(folder, {0: 2 * block, 1: 2 * block}, "float32")
    # half the bytes a number, and an eighth of those of the linear layers
    assert set(device_maps.spread(folder, {0: 3 * block, 1: 3 * block}, "bfloat16").values()) == {0, 1}
    assert set(device_maps.spread(folder, {0: 2.2 * block, 1: 2.2 * block}, "float32", four_bit=True).values()) <= {
        0,
        1,
    }


def test_a_model_is_loaded_onto_the_cards_that_the_job_has(deep, monkeypatch):
    from transformers import AutoModelForCausalLM

    asked, load, (folder, block) = [], AutoModelForCausalLM.from_pretrained, deep

    def spy(path, *, device_map=None, **options):
        asked.append(device_map)
        return load(path, **options)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", spy)
    monkeypatch.setattr(device_maps, "free", lambda: dict.fromkeys(range(4), 100 * block))
    index = folder.with_name("base.index.json")
    policies.load(folder, index, device="cuda", cards=2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    policies.load(folder, index, device="cuda")
    assert set(asked[0].values()) == {0, 1} and asked[1] == {"": 1}
