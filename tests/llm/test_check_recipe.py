"""Every mistake of a recipe is one clear error before training, and what is written is the same on every machine."""

import json
import re
import shutil

import pytest

from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.corpus import samples
from scripts.llm import check_recipe, footprints, llama_cpp
from scripts.llm.settings import Recipe
from tests.llm import models

PARTS = {"talks": "formulas", "pairs": "preferences", "rewards": "rewards"}


def about(part, number):
    details = {"domain": "d", "difficulty": "easy", "template": "t", "entity": "e", "group": str(number)}
    return samples.meta(part, PARTS[part], str(number), **details)


def talk(number, answer="it is above its mean"):
    return samples.conversation(f"is the close {number} above its mean", answer, about("talks", number))


def pair(number, chosen="so I choose buy", rejected="so I choose sell"):
    return samples.preference(f"close {number} buy or sell", chosen, rejected, about("pairs", number))


def task(number, **answer):
    answer = {"kind": "number", "value": number + 0.5, "tolerance": 0.001, "unit": ""} | answer
    return samples.verifiable(f"what is the mean of {number}", answer, about("rewards", number))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return models.make_base(tmp_path_factory.mktemp("check_recipe") / "base")


@pytest.fixture
def corpus(tmp_path):
    """A sound corpus: ``{file: samples}``, written by :func:`check`."""
    return {
        "sft": [talk(number) for number in range(40)],
        "validation": [talk(number) for number in range(100, 105)],
        "dpo": [pair(number) for number in range(20)],
        "dpo_held": [pair(number) for number in range(100, 103)],
        "grpo": [task(number) for number in range(20)],
        "checks": {"corpus": "made", "verdict": "accepted", "reason": "all rules hold"},
    }


def check(base, corpus, folder, settings=None, gpus=0):
    """Run check_recipe; the preflight.json that it wrote, as bytes."""
    folder.mkdir(exist_ok=True)
    small = {"batch": 4, "row_tokens": 256, "max_length": 256}
    recipe = {"base": "b", "corpus": "made", "sft": small, "dpo": small}
    recipe["grpo"] = {"batch": 4, "max_length": 256, "generations": 4, "max_new_tokens": 32}
    for key, value in (settings or {}).items():
        section, _, name = key.partition(".")
        recipe[section] = {**recipe.get(section, {}), name: value} if name else value
    recipe = Recipe.model_validate(recipe)
    files = {}
    for name, content in corpus.items():
        files[name] = str(folder / f"{name}.jsonl")
        text = json.dumps(content) if name == "checks" else "".join(map(samples.line, content))
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    inputs = {
        "model": str(base[0]),
        "index": str(base[1]),
        "sft": [files["sft"]] * len(recipe.phases),
        "validation": [files["validation"]],
        "dpo": [files["dpo"], files["dpo_held"]],
        "grpo": files["grpo"],
        "checks": [files["checks"]],
    }
    described = {
        "adapter": recipe.adapter.model_dump(mode="json"),
        "sft": {phase: recipe.at(phase).model_dump(mode="json") for phase in recipe.phases},
        "dpo": recipe.dpo and recipe.dpo.model_dump(mode="json"),
        "grpo": recipe.grpo and recipe.grpo.model_dump(mode="json"),
        "quants": list(recipe.export.quants),
        "export": recipe.export.model_dump(mode="json", include={"quants", "lora", "modelfile"}),
    }
    params = {"recipe": described, "corpus": "made", "parts": PARTS}
    resources = {} if gpus is None else {"planned_gpus": gpus}
    output = folder / "out" / "preflight.json"
    check_recipe.main(Job(inputs, [str(output)], params, {"recipe": "mine"}, resources=resources))
    return output.read_bytes()


def mistakes(base, corpus, folder, settings=None):
    """The lines of the error that check_recipe raises; nothing is written."""
    with pytest.raises(StudyError) as told:
        check(base, corpus, folder, settings)
    assert not (folder / "out" / "preflight.json").exists()
    return str(told.value).split("\n")[1:]


def test_a_sound_recipe_is_described(base, corpus, tmp_path):
    found = json.loads(check(base, corpus, tmp_path))
    assert list(found["stages"]) == ["dpo", "grpo", "sft-all"]
    tokens = found["stages"]["sft-all"]["tokens"]
    assert tokens["samples"] == 40 and tokens["too_long"] == 0
    assert 0 < tokens["target_tokens"] < tokens["tokens"] == pytest.approx(40 * tokens["mean"])
    assert tokens["mean"] <= tokens["p95"] <= tokens["max"]
    for stage in found["stages"].values():
        for device in ("cpu", "cuda"):
            assert stage["memory_of_one_sample"][device]["bytes"] <= stage["memory"][device]["bytes"]
    assert found["disk"]["bytes"] == sum(found["disk"]["items"].values()) > 0
    assert found["warnings"] == []


def test_what_is_written_does_not_depend_on_the_machine(base, corpus, tmp_path, monkeypatch):
    here = check(base, corpus, tmp_path)
    large = footprints.Available(host=10**15, disk=10**15, gpu=10**15)
    monkeypatch.setattr(footprints, "available", lambda folder, gpu=False: large)
    assert check(base, corpus, tmp_path, gpus=1) == here
    assert check(base, corpus, tmp_path, gpus=None) == here


def test_all_mistakes_are_told_at_once(base, corpus, tmp_path):
    corpus["sft"][3] = talk(3, answer="  \n")
    corpus["dpo"][1] = pair(1, rejected="so I choose buy ")
    corpus["grpo"][2] = task(2, value="many")
    lines = mistakes(
        base, corpus, tmp_path, {"adapter.targets": ["q_proj", "c_attn"], "dpo.parts": ["pairs", "absent"]}
    )
    assert len(lines) == 5
    said = "\n".join(lines)
    assert "adapter.targets: the base has no linear layer 'c_attn' (it has down_proj, gate_proj, k_proj" in said
    assert "sft-all: 1 of 40 samples have an empty answer (talks/3)" in said
    assert "dpo: 1 of 20 samples have a chosen answer that is the rejected one (pairs/1)" in said
    assert "grpo: 1 of 20 samples have an answer that the reward cannot read" in said and "rewards/2" in said
    assert "dpo.parts: the corpus has no part 'absent' (it has pairs, rewards, talks)" in said


@pytest.mark.parametrize(
    "answer",
    [
        {"kind": "essay"},
        {"value": float("inf")},
        {"kind": "choice", "value": "BUY", "prohibited": ["buy"]},
        {"kind": "choice", "value": "up", "choices": ["down", "sideways"]},
        {"kind": "text", "value": None},
        {"kind": "text", "expected": []},
    ],
    ids=["kind", "infinite", "prohibited", "no such choice", "no expected words", "any answer is right"],
)
def test_answers_that_no_completion_can_earn_a_reward_with(base, corpus, tmp_path, answer):
    corpus["grpo"][0] = task(0, **answer)
    (line,) = mistakes(base, corpus, tmp_path)
    assert "grpo: 1 of 20 samples have an answer that the reward cannot read" in line


@pytest.mark.parametrize(
    "answer",
    [
        {"value": -0.226174},
        {"value": 1.5e-7},
        {"value": 438255.36, "expected": ["annuity"]},
        {"kind": "choice", "value": "SELL", "expected": ["trend", "volume"]},
        {"kind": "text", "expected": ["fiduciary"], "prohibited": ["guarantee"]},
    ],
)
def test_answers_that_can_be_earned_pass(base, corpus, tmp_path, answer):
    corpus["grpo"][0] = task(0, **answer)
    check(base, corpus, tmp_path)


def test_samples_of_another_format_are_told_by_their_lines(base, corpus, tmp_path):
    corpus["sft"][4] = pair(4)
    corpus["sft"][6] = talk(6) | {"messages": talk(6)["messages"][:1]}
    corpus["sft"][7] = {key: value for key, value in talk(7).items() if key != "meta"}
    (line,) = mistakes(base, corpus, tmp_path)
    assert "sft.jsonl: 3 of 40 samples are not of format 'messages' (lines 5, 7, 8)" in line


def test_samples_that_are_trained_on_judge_nothing(base, corpus, tmp_path):
    corpus["validation"].append(talk(7))
    (line,) = mistakes(base, corpus, tmp_path)
    assert "sft-all: 1 of 6 samples of the validation split are trained on as well (talks/7)" in line


def test_lengths_are_judged_as_the_training_will_meet_them(base, corpus, tmp_path):
    said = mistakes(base, corpus, tmp_path, {"sft.max_length": 3})
    assert said == [
        "  - sft-all: no sample is left to train on: all 40 are longer than max_length (3 tokens); raise max_length or "
        "choose other parts"
    ]
    corpus["sft"] = [talk(number, "no" if number < 10 else "the close is above " * 12) for number in range(40)]
    (line,) = mistakes(base, corpus, tmp_path, {"sft.max_length": 60})
    assert "30 of 40 samples are longer than max_length (60 tokens)" in line and "talks/10, talks/11" in line
    (line,) = mistakes(base, corpus, tmp_path, {"sft.batch": 64})
    assert "sft-all: 40 samples do not fill a batch, which takes 64" in line
    # what is left out is counted
    found = json.loads(check(base, corpus | {"sft": corpus["sft"][:20]}, tmp_path, {"sft.max_length": 60}))
    assert (
        found["stages"]["sft-all"]["tokens"] | {"samples": 10, "too_long": 10} == (found["stages"]["sft-all"]["tokens"])
    )


def test_texts_longer_than_the_base_takes_are_refused(base, corpus, tmp_path):
    corpus["sft"][0] = talk(0, "the close is above its mean " * 120)
    (line,) = mistakes(base, corpus, tmp_path, {"sft.max_length": 4096})
    assert "the base takes 512; set max_length to that" in line
    corpus["sft"][0] = talk(0)
    (line,) = mistakes(base, corpus, tmp_path, {"grpo.max_new_tokens": 500})
    assert "grpo: the longest prompt and 500 new tokens are" in line


def test_a_batch_of_grpo_has_whole_groups(base, corpus, tmp_path):
    (line,) = mistakes(base, corpus, tmp_path, {"grpo.batch": 6})
    assert "6 completions of a step are no multiple of grpo.generations (4)" in line


def broken(base, folder, **changes):
    """A copy of a base with other entries in tokenizer_config.json, and its template as ``template``."""
    shutil.copytree(base[0], folder)
    path = folder / "tokenizer_config.json"
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
    if "chat_template" in changes:
        (folder / "chat_template.jinja").unlink(missing_ok=True)
    return folder, base[1]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (None, "has no chat template"),
        ("{% for m in messages %}{{ m['content'] }}{% endfor %}", "closes an answer with no token"),
        ("{% for m in messages %}{{ m['content'] + ' the end' }}{% endfor %}", "tokens and not one"),
    ],
    ids=["none", "open", "several tokens"],
)
def test_a_base_that_cannot_be_asked_or_never_stops(base, corpus, tmp_path, template, said):
    (line,) = mistakes(broken(base, tmp_path / "other", chat_template=template), corpus, tmp_path)
    assert said in line


def test_a_base_without_a_tokenizer(base, corpus, tmp_path):
    folder, index = broken(base, tmp_path / "other")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    (line,) = mistakes((folder, index), corpus, tmp_path)
    assert "has no tokenizer (tokenizer.json, tokenizer.model, vocab.json)" in line


def test_a_tokenizer_of_another_model(base, corpus, tmp_path):
    folder, index = broken(base, tmp_path / "other")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 100}))
    (line,) = mistakes((folder, index), corpus, tmp_path)
    assert "the model only 100: they do not belong together" in line


def test_a_refused_corpus_is_a_warning_that_is_recorded(base, corpus, tmp_path):
    corpus["checks"] |= {"verdict": "refused", "reason": "pairs: masked_auc is 0.7, limit 0.53"}
    found = json.loads(check(base, corpus, tmp_path))
    assert found["warnings"] == ["corpus 'made' was refused by its checks: pairs: masked_auc is 0.7, limit 0.53"]


def test_a_program_that_only_the_end_needs_is_missed_at_the_start(base, corpus, tmp_path, monkeypatch):
    def missing():
        raise StudyError("K-quants need llama-cpp-python")

    monkeypatch.setattr(llama_cpp, "quantizer", missing)
    (line,) = mistakes(base, corpus, tmp_path, {"export.quants": ["F32", "Q4_K_M"]})
    assert line == "  - export.quants: K-quants need llama-cpp-python"


def changed(base, folder, file, change):
    """A copy of a base one of whose JSON files ``change`` has altered."""
    shutil.copytree(base[0], folder)
    content = json.loads((folder / file).read_text())
    change(content)
    (folder / file).write_text(json.dumps(content))
    return folder, base[1]


def other_splits(tokenizer):
    tokenizer["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}


CANNOT_EXPORT = {
    "rope": (
        "config.json",
        lambda config: config.update(rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 8.0}),
        "export.quants: .*rope scaling 'dynamic'",
    ),
    "window": (
        "config.json",
        lambda config: config.update(use_sliding_window=True, sliding_window=64),
        "export.quants: .*use_sliding_window True has no counterpart",
    ),
    "tensor": (
        "config.json",
        lambda config: config.update(tie_word_embeddings=False),
        "export.quants: .*lacks tensor lm_head.weight",
    ),
    "splits": ("tokenizer.json", other_splits, "export.quants: .*its pre-tokenizer .ByteLevel.* is not Qwen2's"),
}


@pytest.mark.parametrize("case", CANNOT_EXPORT)
def test_what_the_converter_would_refuse_after_the_training_is_refused_before(base, corpus, tmp_path, case):
    file, change, said = CANNOT_EXPORT[case]
    other = changed(base, tmp_path / "other", file, change)
    (line,) = mistakes(other, corpus, tmp_path)
    assert re.search(said, line)
    # as an adapter alone it is converted by the same code; without an export nothing is asked
    (line,) = mistakes(other, corpus, tmp_path, {"export.quants": [], "export.lora": True})
    assert re.search(said.replace("quants", "lora"), line)
    check(other, corpus, tmp_path, {"export.quants": []})


def test_an_adapter_of_another_architecture_is_refused_before_the_training(base, corpus, tmp_path):
    llama = changed(base, tmp_path / "llama", "config.json", lambda config: config.update(model_type="llama"))
    (line,) = mistakes(llama, corpus, tmp_path, {"export.quants": [], "export.lora": True})
    assert line.startswith("  - export.lora: adapters of qwen2 models can be exported, the base is a llama model")


def test_a_modelfile_that_cannot_be_written_is_refused_before_the_training(base, corpus, tmp_path):
    (line,) = mistakes(base, corpus, tmp_path, {"export.modelfile": {"system": 'Say """yes""".'}})
    assert line.startswith('  - export.modelfile.system has """ in it')
    numbered = (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + loop.index|string + '\\n' + m['content'] "
        "+ '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    )
    (line,) = mistakes(broken(base, tmp_path / "other", chat_template=numbered), corpus, tmp_path)
    assert line.startswith("  - export.modelfile: Ollama cannot be told how this model is asked")


@pytest.mark.parametrize(
    ("free", "gpus", "said"),
    [
        ({"disk": 10**6}, 0, "of disk and 0.00 GB are free"),
        ({"host": 10**6}, 0, "sft-all, on the CPU needs about"),
        ({"gpu": 10**6}, 1, "grpo, on the GPU and with rows of one sample needs about"),
    ],
    ids=["disk", "host", "gpu"],
)
def test_what_does_not_fit_is_refused_with_figures(base, corpus, tmp_path, monkeypatch, free, gpus, said):
    found = footprints.Available(**({"host": 10**15, "disk": 10**15, "gpu": 10**15 if gpus else None} | free))
    monkeypatch.setattr(footprints, "available", lambda folder, gpu=False: found)
    for name in check_recipe.CLUSTER:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StudyError, match=said):
        check(base, corpus, tmp_path, gpus=gpus)
    if "host" in free:  # it is the trainings' own matter where they have a GPU, or an allocation of a cluster
        check(base, corpus, tmp_path, gpus=None)
        monkeypatch.setenv("SLURM_JOB_ID", "1")
        check(base, corpus, tmp_path, gpus=0)


def test_what_a_run_before_left_is_no_reason_to_refuse(base, corpus, tmp_path, monkeypatch):
    needed = json.loads(check(base, corpus, tmp_path))["disk"]["bytes"]
    found = footprints.Available(host=10**15, disk=needed // 2)
    monkeypatch.setattr(footprints, "available", lambda folder, gpu=False: found)
    (tmp_path / "out" / "merged.safetensors").write_bytes(b"0" * (needed // 2 + 1))
    check(base, corpus, tmp_path)
