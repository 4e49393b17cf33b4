"""The scripts one after another on a small base: phases of SFT, scores, DPO, GRPO; equal bytes, kills, wrong inputs."""

import json
import math
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from scripts.common.errors import StudyError
from scripts.common.job import Job, Names
from scripts.common.training import metrics
from scripts.corpus import samples
from scripts.llm import reinforcement, score_reference, train_dpo, train_grpo, train_sft
from scripts.llm.settings import Adapter, Dpo, Grpo, Sft
from tests.llm import models

pytestmark = [
    # PEFT 0.21 asks transformers 5.23 by an older name
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]
ROOT = Path(__file__).resolve().parents[2]
SHAPE = {"hidden": 64, "intermediate": 128, "layers": 2, "heads": 4, "kv_heads": 2, "context": 512}
DONE = Path("results/one/llm/r/sft/a")  # see the fixture source
FILES = ("adapter_model.safetensors", "adapter_config.json", "metrics.jsonl", "training.json")
SFT = {"epochs": 2, "batch": 4, "row_tokens": 128, "learning_rate": 1e-2, "checkpoints": 4, "evaluations": 2}


def text(rng, words=8):
    return " ".join(rng.choices(models.WORDS, k=words))


def about(key, part="talk"):
    fixed = {"domain": "d", "difficulty": "easy", "template": "t", "entity": "e", "group": f"g{key}"}
    return samples.meta(part, "domain", str(key), **fixed)


def write_data(folder, seed=1):
    """Conversations whose answers a model can learn, pairs, and prompts whose answer is a number."""
    rng, answers = random.Random(seed), ("buy , the close is above .", "sell , the close is below its mean .")
    folder.mkdir(exist_ok=True)
    for name, number in (("train", 22), ("more", 12), ("validation", 6)):
        made = [
            samples.conversation(text(rng, 4 + each), answers[each % 2], about(f"{name}-{each}"))
            for each in range(number)
        ]
        samples.write(folder / f"{name}.jsonl", made)
    for name, number in (("pairs", 18), ("held_pairs", 6)):
        made = [samples.preference(text(rng), *answers, about(f"{name}-{each}")) for each in range(number)]
        samples.write(folder / f"{name}.jsonl", made)
    # half of what an untrained model writes states no number: the others decide
    answer = {"kind": "text", "expected": ["the", "close", "is", "1", "2"], "prohibited": []}
    samples.write(folder / "prompts.jsonl", [samples.verifiable(text(rng), answer, about(each)) for each in range(8)])


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder with a base, data, and phase a of study one: a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("source")
    models.make_base(folder / "tiny", shape=SHAPE)
    write_data(folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        sft("a")
    return folder


@pytest.fixture
def study(source, tmp_path, monkeypatch):
    """A working directory with the inputs; threads are as they were afterwards."""
    shutil.copytree(source, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    before = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(before)


def outputs(folder):
    return dict(zip(("adapter", "config", "metrics", "summary"), (f"{folder}/{name}" for name in FILES), strict=True))


def base_files():
    return {"model": "tiny", "index": "tiny.index.json"}


def adapter_of(folder):
    return {"adapter": f"{folder}/{FILES[0]}", "adapter_config": f"{folder}/{FILES[1]}"}


def trained_on(settings, **params):
    """The settings of a training as its job has them: ``{"params": .., "resources": ..}``."""
    resources = {"checkpoints": settings["checkpoints"]}
    kept = {name: value for name, value in settings.items() if name not in resources}
    return {"params": {"settings": kept, "base": "tiny", "seed": 7} | params, "resources": resources}


def sft_job(phase="a", *, study="one", data="train", parent=None, method="lora", threads=1, **changes):
    """The job of a phase; its files go to ``results/<study>/llm/r/sft/<phase>``."""
    given = base_files() | {"samples": f"data/{data}.jsonl", "validation": "data/validation.jsonl"}
    settings = Sft(**(SFT | changes)).model_dump(mode="json")
    return Job(
        input=given | (adapter_of(parent) if parent else {}),
        output=outputs(f"results/{study}/llm/r/sft/{phase}"),
        wildcards={"recipe": "r", "phase": phase},
        threads=threads,
        **trained_on(settings, lora=Adapter(method=method, r=4, alpha=8).model_dump(mode="json")),
    )


def sft(phase="a", **options):
    """Run a phase; its folder."""
    job = sft_job(phase, **options)
    train_sft.main(job)
    return Path(job.output.adapter).parent


def dpo_settings(**changes):
    return Dpo(**({"epochs": 2, "batch": 4, "row_tokens": 128, "learning_rate": 1e-2} | changes)).model_dump(
        mode="json"
    )


PAIRS = {"pairs": ["data/pairs.jsonl", "data/held_pairs.jsonl"]}
SCORES = {"scores": "results/one/llm/r/dpo/reference.parquet", "account": "results/one/llm/r/dpo/reference.json"}


def score(adapter):
    """Run score_reference on an adapter's folder."""
    settings = dpo_settings()
    params = {"settings": settings, "dtype": "float32", "attention": settings["attention"], "four_bit": False}
    score_reference.main(Job(input=base_files() | adapter_of(adapter) | PAIRS, output=SCORES, params=params))


def dpo(adapter, **changes):
    """Run train_dpo from an adapter's folder; its own folder."""
    files = {"reference": SCORES["scores"], "account": SCORES["account"]}
    folder = "results/one/llm/r/dpo"
    given = base_files() | adapter_of(adapter) | PAIRS | files
    options = trained_on(dpo_settings(**changes), four_bit=False)
    train_dpo.main(Job(input=given, output=outputs(folder), wildcards={"recipe": "r"}, **options))
    return Path(folder)


def content(folder):
    return {name: Path(folder, name).read_bytes() for name in FILES}


def summary(folder):
    return json.loads(Path(folder, "training.json").read_text())


def losses(folder, name="loss"):
    return [each[name] for each in metrics.read(Path(folder, "metrics.jsonl")) if name in each]


# SFT ------------------------------------------------------------------------------------------------------------------


def test_phases_continue_each_other(study):
    first, second = DONE, sft("b", data="more", parent=DONE)
    about_first, about_second = summary(first), summary(second)
    assert about_first["continues"] is None
    assert about_second["continues"] == train_sft.adapters.sha256(first / FILES[0])
    assert (about_first["samples"], about_first["steps"]) == (22, 11)
    assert losses(first)[-1] < losses(first)[0] - 0.3
    # where the second begins, a new adapter would be as bad as the first was
    assert losses(second)[0] < losses(first)[0] - 0.3
    assert about_first["validation_losses"][-1] < about_first["validation_losses"][0]
    assert not list(Path(".work/one").glob("train_sft/r/[ab]"))
    assert load_file(second / FILES[0]).keys() == load_file(first / FILES[0]).keys()


def test_the_adapter_names_its_base_and_no_place(study):
    config = json.loads((DONE / FILES[1]).read_text())
    assert config["base_model_name_or_path"] == "tiny"
    assert config["target_modules"] == sorted(config["target_modules"])
    assert str(study).encode() not in b"".join(content(DONE).values())


def test_samples_that_are_too_long_are_told_and_none_left_is_an_error(study):
    folder = sft("b", max_length=40, epochs=1)
    assert 0 < len(summary(folder)["too_long"]) < 22
    assert summary(folder)["samples"] == 22 - len(summary(folder)["too_long"])
    with pytest.raises(StudyError, match="none of 22 samples is left"):
        sft("c", max_length=5)


@pytest.mark.parametrize("options", [{"threads": 2}, {"checkpoints": 1}])
def test_the_numbers_of_threads_and_of_checkpoints_change_no_byte(study, options):
    assert content(sft(study="two", **options)) == content(DONE)


def test_packing_changes_only_how_it_is_computed(study):
    packed, single = load_file(DONE / FILES[0]), load_file(sft("b", packing=False) / FILES[0])
    assert max(float((packed[name] - single[name]).abs().max()) for name in packed) < 1e-4


@pytest.mark.parametrize("method", ["dora", "qlora"])
def test_other_adapters_are_trained(study, method):
    folder = sft("b", method=method, epochs=1)
    tensors = load_file(folder / FILES[0])
    assert any("magnitude" in name for name in tensors) == (method == "dora")
    assert all(bool(each.isfinite().all()) for each in tensors.values())
    assert losses(folder)[-1] < losses(folder)[0]


def test_a_phase_of_a_curriculum_is_trained_in_its_order(study, monkeypatch):
    """In an order of its own: the conversations of data/train.jsonl get longer from one to the next."""
    found = {}
    for ordered in (True, False):
        job, lengths = sft_job("b", epochs=1), found.setdefault(ordered, [])
        job.params = Names({**dict(job.params.items()), "ordered": ordered})
        with monkeypatch.context() as patch:
            total = train_sft.trainers.Imitation.total

            def spy(model, batch, lengths=lengths, total=total):
                lengths.extend([max(batch["lengths"])] if model.training else [])
                return total(model, batch)

            patch.setattr(train_sft.trainers.Imitation, "total", staticmethod(spy))
            train_sft.main(job)
    per_step = summary("results/one/llm/r/sft/b")["rows_per_step"]
    longest = {
        ordered: [max(each[start : start + per_step]) for start in range(0, len(each), per_step)]
        for ordered, each in found.items()
    }
    assert longest[True] == sorted(longest[True]) and len(longest[True]) > 3
    assert longest[False] != sorted(longest[False])


def test_the_validation_loss_is_of_the_parts_that_are_trained_on(study, monkeypatch):
    """And of samples from all over the file, not of those it begins with."""
    rng, answer = random.Random(3), "buy , the close is above ."
    held = [samples.conversation(text(rng), answer, about(each, "ab"[each % 2])) for each in range(40)]
    samples.write(study / "data" / "validation.jsonl", held)
    path, seen = study / "data" / "parts.jsonl", []
    samples.write(path, [samples.conversation(text(rng), answer, about(each, "ab"[each % 2])) for each in range(16)])
    encode = train_sft.examples.conversations
    monkeypatch.setattr(train_sft.examples, "conversations", lambda *given: seen.append(given[1]) or encode(*given))
    sft("b", data="parts", parts=["b"], validation_samples=4)
    assert [each["meta"]["id"] for each in seen[1]] == ["b/1", "b/11", "b/21", "b/31"]


# kills ----------------------------------------------------------------------------------------------------------------

KILL = """
import os, signal
from scripts.common.training import metrics
from scripts.llm import train_sft
from tests.llm.test_train_chain import sft_job

write = metrics.Metrics.write
def stop(self, record):
    if record["step"] == 8 and "loss" in record:
        self._file.write('{"step": 8, "lo')
        self._file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, record)
metrics.Metrics.write = stop
train_sft.main(sft_job(study="two"))
"""


@pytest.fixture
def reads(monkeypatch):
    """How many checkpoints were resumed from, a list of their steps."""
    found, original = [], metrics.Metrics.resume

    def resume(self, step):
        found.append(step)
        return original(self, step)

    monkeypatch.setattr(metrics.Metrics, "resume", resume)
    return found


def test_a_training_that_was_killed_goes_on_and_ends_as_if_it_had_not_been(study, reads):
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PATH": ""}
    killed = subprocess.run([sys.executable, "-c", KILL], env=environment, cwd=study, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not Path("results/two/llm/r/sft/a/training.json").exists()
    assert content(sft(study="two")) == content(DONE)
    # checkpoints are saved every third step of 11
    assert reads == [6]


class InterruptionError(Exception):
    pass


def interrupt(monkeypatch, step, train=lambda: sft(study="two")):
    """Have the next training end at the log of a step."""
    write = metrics.Metrics.write

    def stop(self, record):
        if record["step"] == step:
            self.close()
            raise InterruptionError
        write(self, record)

    with monkeypatch.context() as patch:
        patch.setattr(metrics.Metrics, "write", stop)
        with pytest.raises(InterruptionError):
            train()


def test_a_changed_input_starts_afresh(study, reads, monkeypatch):
    interrupt(monkeypatch, 8)
    write_data(study / "data", seed=2)
    changed = content(sft(study="two"))
    assert reads == [0, 0]
    assert changed[FILES[0]] != content(DONE)[FILES[0]]
    assert content(sft(study="one")) == changed


def test_a_changed_parameter_starts_afresh(study, reads, monkeypatch):
    interrupt(monkeypatch, 8)
    sft(study="two", learning_rate=1e-3)
    assert reads == [0, 0]


def test_another_number_of_checkpoints_goes_on_and_changes_no_byte(study, reads, monkeypatch):
    interrupt(monkeypatch, 8)
    assert content(sft(study="two", checkpoints=1)) == content(DONE)
    assert reads == [0, 6]


def test_a_failed_training_leaves_a_record_that_a_success_resolves(study, monkeypatch):
    interrupt(monkeypatch, 8)
    path = Path("results/two/failures/train_sft/r/a.json")
    record = json.loads(path.read_text())
    assert (record["rule"], record["key"], record["resolved"]) == ("train_sft", "r/a", False)
    sft(study="two")
    assert json.loads(path.read_text())["resolved"] is True


def test_a_sick_training_stops_with_a_record_and_its_last_healthy_adapter(study, monkeypatch):
    total, calls = train_sft.trainers.Imitation.total, []

    def sick(model, batch):
        calls.append(1)
        loss = total(model, batch)
        return loss * float("nan") if len(calls) > 20 else loss

    monkeypatch.setattr(train_sft.trainers.Imitation, "total", staticmethod(sick))
    with pytest.raises(StudyError, match="the training was stopped at step [0-9]+: non_finite"):
        sft("b", checkpoints=100, evaluations=1)
    record = json.loads(Path("results/one/failures/train_sft/r/b.json").read_text())
    assert record["class"] == "non_finite" and not record["resolved"]
    assert 0 < record["checkpoint"]["step"] < record["step"]
    kept = load_file(Path("results/one/failures/train_sft/r/b.checkpoint", FILES[0]))
    assert all(bool(each.isfinite().all()) for each in kept.values())
    assert not Path("results/one/llm/r/sft/b", FILES[0]).exists()


def test_a_sample_that_does_not_fit_the_gpu_leaves_a_record(study, monkeypatch):
    def full(model, batch):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(train_sft.trainers.Imitation, "total", staticmethod(full))
    with pytest.raises(StudyError, match="does not hold a row of one sample"):
        sft("b")
    record = json.loads(Path("results/one/failures/train_sft/r/b.json").read_text())
    assert (record["class"], record["checkpoint"], record["resolved"]) == ("out_of_memory", None, False)
    assert "lower max_length" in record["remedy"]


# DPO ------------------------------------------------------------------------------------------------------------------


def test_dpo_starts_from_its_reference_and_learns(study):
    reference = DONE
    score(reference)
    account, table = json.loads(Path(SCORES["account"]).read_text()), pd.read_parquet(SCORES["scores"])
    assert account["reference"] == train_sft.adapters.sha256(reference / FILES[0])
    assert table["split"].value_counts().to_dict() == {"train": 18, "validation": 6}
    assert (table[["chosen", "rejected"]] < 0).all(axis=None)
    folder = dpo(reference)
    about = summary(folder)
    assert about["first_loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert about["rows_per_step"] > 1
    assert about["reference"] == account["reference"]
    assert losses(folder)[-1] < 0.6
    assert about["validation_losses"][-1] < 0.6


def test_dpo_refuses_an_adapter_that_is_not_its_reference(study):
    reference, other = DONE, sft("b", data="more", epochs=1)
    score(reference)
    with pytest.raises(StudyError, match="DPO has to start from its reference"):
        dpo(other)


def test_dpo_refuses_scores_that_are_not_its_reference_s(study):
    reference = DONE
    score(reference)
    table = pd.read_parquet(SCORES["scores"])
    table["chosen"] += 1.0
    table.to_parquet(SCORES["scores"])
    with pytest.raises(StudyError, match="the first loss of DPO is 0.744[0-9]*, not ln 2"):
        dpo(reference)
    # at once, not after hours of training
    assert losses(".work/one/train_dpo/r") == [pytest.approx(0.744, abs=1e-3)]
    record = json.loads(Path("results/one/failures/train_dpo/r.json").read_text())
    assert (record["class"], record["step"]) == ("wrong_reference", 1)
    assert "remove dpo/reference.parquet" in record["remedy"]
    assert not Path("results/one/llm/r/dpo/adapter_model.safetensors").exists()


# GRPO -----------------------------------------------------------------------------------------------------------------


GRPO = {"batch": 4, "generations": 2, "steps": 3, "max_new_tokens": 12, "learning_rate": 1e-2, "checkpoints": 20}


def grpo(study="one", **changes):
    """Run train_grpo from the first phase's adapter; its folder."""
    folder = f"results/{study}/llm/r/grpo"
    settings = Grpo(**(GRPO | changes)).model_dump(mode="json")
    given = base_files() | adapter_of(DONE) | {"prompts": "data/prompts.jsonl"}
    options = trained_on(settings, four_bit=False)
    train_grpo.main(Job(input=given, output=outputs(folder), wildcards={"recipe": "r"}, **options))
    return folder


def test_grpo_rewards_completions(study):
    folder = grpo()
    records = [each for each in metrics.read(Path(folder, "metrics.jsonl")) if "loss" in each]
    assert [each["step"] for each in records] == [1, 2, 3]
    assert all(0 <= each["reward"] <= 1 and each["completion_tokens"] <= 12 for each in records)
    assert any(each["reward"] > 0 for each in records)
    about = summary(folder)
    assert about["continues"] == train_sft.adapters.sha256(DONE / FILES[0])
    assert about["mean_reward_last_tenth"] == pytest.approx(records[-1]["reward"])
    assert (about["too_long"], about["completions_halved"], about["rows_halved"]) == ([], [], [])


@pytest.mark.parametrize("step", [3, 6])
def test_grpo_that_was_killed_ends_as_if_it_had_not_been(study, reads, monkeypatch, step):
    """In its first pass over the eight prompts and in its second; a step takes two."""
    undisturbed = content(grpo(steps=6, beta=0.1))
    interrupt(monkeypatch, step, lambda: grpo("two", steps=6, beta=0.1))
    assert content(grpo("two", steps=6, beta=0.1)) == undisturbed
    assert reads == [0, 0, step - 1]


def test_every_prompt_of_grpo_comes_once_in_each_pass(study):
    found = samples.read("data/prompts.jsonl")
    rows = reinforcement.dataset(found, Grpo(**GRPO | {"steps": 6}).model_dump(), 7)["prompt"]
    texts = [each[-1]["content"] for each in rows]
    assert len(texts) == 12 and len(set(texts[:8])) == 8 and len(set(texts[8:])) == 4
    assert texts[:4] != texts[8:]


def test_prompts_that_are_too_long_are_told_and_none_left_is_an_error(study):
    longer = samples.verifiable(text(random.Random(5), 60), {"kind": "text", "expected": ["buy"]}, about("long"))
    samples.write(study / "data/prompts.jsonl", [*samples.read("data/prompts.jsonl"), longer])
    about_it = summary(grpo(steps=1, max_length=60))
    assert (about_it["prompts"], about_it["too_long"]) == (8, ["talk/long"])
    with pytest.raises(StudyError, match="none of 9 prompts is left"):
        grpo(max_length=5)


@pytest.mark.parametrize("name", ["epochs", "row_tokens", "attention", "evaluations"])
def test_grpo_refuses_settings_that_it_would_ignore(name):
    with pytest.raises(ValueError, match=name):
        Grpo(**{name: getattr(Sft(), name)})


def full_gpu(monkeypatch, most, told=None):
    """A GPU that holds the gradients of ``most`` completions."""
    from trl import GRPOTrainer

    loss = GRPOTrainer.compute_loss

    def total(self, model, inputs, **options):
        if told is not None:
            told.append(len(inputs["completion_ids"]))
        if len(inputs["completion_ids"]) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return loss(self, model, inputs, **options)

    monkeypatch.setattr(GRPOTrainer, "compute_loss", total)


@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_grpo_computes_fewer_completions_at_once_where_they_do_not_fit(study, monkeypatch, beta):
    undisturbed, told = load_file(Path(grpo(beta=beta), FILES[0])), []
    full_gpu(monkeypatch, 1, told)
    folder = grpo("two", beta=beta)
    halved = load_file(Path(folder, FILES[0]))
    assert told == [4, 2] + [1] * 12
    assert summary(folder)["completions_halved"] == [[4, 2], [2, 1]]
    # the same completions and the same steps, up to rounding
    assert losses(folder, "reward") == losses("results/one/llm/r/grpo", "reward")
    assert max(float((undisturbed[name] - halved[name]).abs().max()) for name in halved) < 1e-4


def test_a_completion_that_does_not_fit_the_gpu_leaves_a_record(study, monkeypatch):
    full_gpu(monkeypatch, 0)
    with pytest.raises(StudyError, match="does not hold the completions of a step"):
        grpo()
    record = json.loads(Path("results/one/failures/train_grpo/r.json").read_text())
    assert record["class"] == "out_of_memory" and "max_new_tokens" in record["remedy"]
