"""What jobs ask for against what they took, and what they ask for on other machines."""

import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.exceptions import WorkflowError
from snakemake.io import IOFile
from snakemake.iocontainers import InputFiles, Wildcards

from scripts.common import attempts
from scripts.common.devices import has_gpu
from scripts.report import timings
from tests.planning import copy_checkout, plan, workflow

ROOT = Path(__file__).parents[2]
RECORDED = json.loads((ROOT / "tests/plan/recorded_peaks.json").read_text())
# In a SLURM job two Snakemake processes run beside the script, of about 155 MB each
SNAKEMAKE_MB = 310
LEAST_MB = 400
TIMES_FASTER = 3  # than its limit a recorded job was at least


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    with workflow(copy_checkout(tmp_path_factory.mktemp("requests"))) as flow:
        yield {rule.name: rule for rule in flow.rules if rule.script}


@pytest.fixture
def known(rules):
    return next(iter(rules.values())).workflow.globals


def request(rule, name, recorded, folder, monkeypatch, attempt=1):
    """What the job of a record asks for, with sparse files of its inputs' sizes in ``folder``."""
    for place, size in (("file.jsonl", recorded["files_mb"]), ("model/weights", recorded["folder_mb"])):
        (folder / place).parent.mkdir(exist_ok=True)
        with open(folder / place, "wb") as file:
            file.truncate(int(size * 2**20))
    (folder / "preflight.json").write_text(json.dumps(recorded.get("preflight", {"stages": {}, "parameters": {}})))
    inputs = {"file": "file.jsonl", "model": "model", "preflight": "preflight.json"}
    inputs = {key: IOFile(str(folder / each), rule=rule) for key, each in inputs.items()}
    monkeypatch.setitem(rule.workflow.globals, "folds_at", lambda wildcards: {"folds": [0] * recorded.get("folds", 0)})
    log = rule.log[0].match(f"results/laptop/logs/{recorded['job']}.log")
    wildcards = Wildcards(fromdict=log.groupdict())
    evaluated = rule.resources[name].evaluate(wildcards, input=InputFiles(fromdict=inputs), attempt=attempt, threads=1)
    return evaluated.value


def test_every_rule_states_threads_memory_and_time():
    for file in sorted((ROOT / "rules").glob("*.smk")):
        for text in re.split(r"(?m)^(?=(?:rule|checkpoint) \w+:)", file.read_text())[1:]:
            name = re.match(r"\w+ (\w+):", text)[1]
            if "    script:" in text:
                assert "\n    threads: " in text, f"{name} states no threads"
                both = "mem_mb=" in text and "runtime=" in text
                assert both or "**training_request(" in text, f"{name} states no mem_mb or no runtime"


def test_every_rule_has_a_recorded_peak(rules):
    """A rule that the default study does not run has none."""
    unused = {"fetch_archive", "split_symbol", "train_grpo", "verify_results", "tabulate_times"}
    missing = set(rules) - {each["rule"] for each in RECORDED} - unused
    assert not missing, f"build the default study and run tests/plan/record_peaks.py: {sorted(missing)} are new"


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda each: each["rule"])
def test_the_recorded_peak_of_the_default_study_is_within_the_request(rules, recorded, tmp_path, monkeypatch):
    rule, peak = rules[recorded["rule"]], recorded["peak_mb"]
    asked, again = (request(rule, "mem_mb", recorded, tmp_path, monkeypatch, attempt) for attempt in (1, 2))
    said = f"{rule.name} ({recorded['job']}) took {peak} MB and asks for {asked} MB"
    assert peak + SNAKEMAKE_MB <= asked, f"{said}; with Snakemake beside it in a SLURM job that is too little"
    assert asked >= LEAST_MB, said
    assert again >= 1.99 * asked, f"{rule.name}: a second attempt asks for {again} MB after {asked} MB"


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda each: each["rule"])
def test_the_time_limit_is_far_above_the_recorded_time(rules, recorded, tmp_path, monkeypatch):
    rule = rules[recorded["rule"]]
    asked, again = (request(rule, "runtime", recorded, tmp_path, monkeypatch, attempt) for attempt in (1, 2))
    assert TIMES_FASTER * recorded["seconds"] <= 60 * asked, f"{recorded['job']}: {recorded['seconds']} s, {asked} min"
    assert again > 1.5 * asked, rule.name


@pytest.mark.parametrize("study", ["built", "talked", "chatted"])
def test_no_job_of_a_tiny_study_takes_more_than_it_asks_for(study, request, monkeypatch):
    monkeypatch.chdir(request.getfixturevalue(study))
    sampled = timings.peaks(timings.read("results/tiny/benchmarks"))
    accounts = attempts.read_all("tiny")
    assert set(sampled) <= set(accounts)
    wrong = []
    for job, tries in accounts.items():
        peak = max(tries[-1].peak_mb, sampled.get(job, 0))
        if peak + SNAKEMAKE_MB > tries[0].request["mem_mb"]:
            wrong.append(f"{job.split('/')[0]}: {job} took {peak:.0f} MB and asks for {tries[0].request['mem_mb']} MB")
    assert len(accounts) > 20 and not wrong, "\n".join(wrong)


def stack(**changed):
    return Wildcards(fromdict={"ensemble": "planted", "target": "ALPHA", "timeframe": "1h", "model": "lgb"} | changed)


def test_all_blocks_of_a_stack_ask_alike_and_wide_models_for_more(rules, known, monkeypatch):
    """A SLURM array is submitted with the request of its first job."""
    monkeypatch.setitem(known, "folds_at", lambda wildcards: {"folds": [0] * 49})
    blocks = [stack(block=f"b00{number}") for number in range(4)]

    def asked(name, wildcards):
        return rules["train_folds"].resources[name].evaluate(wildcards, input=InputFiles([]), attempt=1).value

    assert len({asked("mem_mb", each) for each in blocks}) == len({asked("runtime", each) for each in blocks}) == 1
    narrow, wide = asked("mem_mb", blocks[0]), asked("mem_mb", stack(model="cross_lgb", block="b000"))
    assert narrow < wide
    before = asked("runtime", blocks[0])
    # 575 features took 800 MB and 23 s in blocks of 12 folds (studies/forex_features.yaml)
    monkeypatch.setitem(known, "matrix_columns", lambda *names: 575)
    assert asked("mem_mb", blocks[0]) > 800 + SNAKEMAKE_MB and asked("runtime", blocks[0]) > before


def training(known, gpu, gradient_checkpointing=False, parameters=7_000_000_000, tokens=10_000_000, **more):
    """`(MB, minutes)` of a training of a 7B model whose preflight estimates 40 GB on the CPU."""
    of_stage = {"memory": {"cpu": {"bytes": 40 * 2**30}}, "tokens": {"tokens": tokens, "mean": 300.0}}
    found = {"parameters": {"linear": parameters}, "stages": {"sft-all": of_stage, "grpo": of_stage}}
    common = {"gradient_checkpointing": gradient_checkpointing, "dtype": "bfloat16", "max_length": 1024}
    sft = SimpleNamespace(epochs=2, **common)
    grpo = SimpleNamespace(steps=50, batch=16, max_new_tokens=256, **common)
    alone = SimpleNamespace(kind="none", devices=1)
    recipe = SimpleNamespace(at=lambda phase: sft, grpo=grpo, parallel=alone)
    changed = {"preflight_of": lambda input: found, "gpus": lambda wildcards: gpu, "folder_megabytes": lambda input: 0}
    changed["text_megabytes"] = lambda input: 1
    patch = pytest.MonkeyPatch()
    with patch.context() as context:
        for name, value in (changed | {"recipe_settings": lambda wildcards: recipe} | more).items():
            context.setitem(known, name, value)
        return [
            (
                known["training_megabytes"](SimpleNamespace(phase="all"), None, 1, stage),
                known["training_minutes"](SimpleNamespace(phase="all"), None, 1, stage),
            )
            for stage in ("sft-all", "grpo")
        ]


def test_a_training_asks_by_its_model_its_tokens_and_what_it_computes_on(known):
    (memory, minutes), (_, grpo) = training(known, gpu=1)
    assert memory < 10_000 and 200 < minutes < 1440  # on the host; 7B, 20 million tokens: within a day
    (on_cpu, long), (_, grpo_on_cpu) = training(known, gpu=0)
    assert on_cpu > 1.2 * 40 * 1024 and long > 100 * minutes and grpo_on_cpu > grpo > 20
    (_, checkpointed), _ = training(known, gpu=1, gradient_checkpointing=True)
    (_, half), _ = training(known, gpu=1, parameters=3_500_000_000)
    (_, few), _ = training(known, gpu=1, tokens=5_000_000)
    assert half == few < minutes < checkpointed
    # without a preflight, from the sizes of the files: 15 GB of weights, 1 MB of text
    (memory, minutes), _ = training(
        known, gpu=0, preflight_of=lambda input: None, folder_megabytes=lambda input: 15_000
    )
    assert memory > 2.6 * 15_000 and minutes > 200


def gpu_of(known, monkeypatch, device, here=False, limit=None, remote=False):
    """How many GPUs a training asks for; ``limit``: of `--resources gpu=`."""
    monkeypatch.setitem(known, "study", SimpleNamespace(device=device))
    monkeypatch.setitem(known, "devices", SimpleNamespace(has_gpu=lambda: here))
    given = {} if limit is None else {"gpu": SimpleNamespace(value=limit)}
    monkeypatch.setitem(known, "workflow", SimpleNamespace(global_resources=given, remote_exec=remote))
    return known["gpus"](None)


def test_who_asks_for_a_gpu(known, monkeypatch):
    for device, here, asked in (("auto", True, 1), ("auto", False, 0), ("cpu", True, 0), ("cuda", False, 1)):
        assert gpu_of(known, monkeypatch, device, here) == asked
    assert gpu_of(known, monkeypatch, "auto", here=True, limit=0) == 0


def test_a_job_planned_for_a_gpu_asks_for_one_on_a_node_without(known, monkeypatch):
    """`auto` on the node would say: no GPU here, so the CPU; the job would be trained there and nobody would notice."""
    assert gpu_of(known, monkeypatch, "auto", here=False, limit=1, remote=True) == 1
    # and one planned for the CPU takes no GPU that happens to be there
    assert gpu_of(known, monkeypatch, "auto", here=True, limit=0, remote=True) == 0


def test_no_gpu_allowed_where_the_study_wants_one_is_an_error(known, monkeypatch):
    with pytest.raises(WorkflowError, match="`--resources gpu=0` allows no GPU"):
        gpu_of(known, monkeypatch, "cuda", limit=0)


def test_model_and_memory_of_a_gpu_are_asked_for_with_a_gpu_only(tmp_path):
    folder = copy_checkout(tmp_path / "checkout")
    asking = {"gpu": {"model": "a100", "memory_gb": 40}}
    for device, said in (("cuda", (1, "a100", 40)), ("cpu", (0, None, None))):
        with workflow(folder, config=asking | {"device": device}) as flow:
            rules = {rule.name: rule for rule in flow.rules}
            for name, count in (("train_sft", said), ("evaluate_llm", said), ("evaluate_llm", (0, None, None))):
                artifact = "dpo" if count == said else "Q8_0"
                wildcards = Wildcards(fromdict={"recipe": "trader", "phase": "all", "artifact": artifact})
                names = ("gpu", "gpu_model", "gpu_memory_gb")
                asked = [
                    rules[name].resources[each].evaluate(wildcards, input=InputFiles([]), attempt=1).value
                    for each in names
                ]
                assert tuple(asked) == count, name


@pytest.mark.skipif(has_gpu(), reason="this machine has a GPU: `auto` asks for it")
def test_where_a_job_runs_reruns_nothing(chatted):
    where = {"device": "cuda", "gpu": {"model": "a100", "memory_gb": 40}}
    assert plan(chatted, config=where) == plan(chatted) == []


def test_the_requests_of_folds_open_no_file(tmp_path, monkeypatch):
    """Requests are computed for every job of a plan: they read no file twice and walk no folder of fold models."""
    opened = []
    with workflow(copy_checkout(tmp_path / "checkout")) as flow, monkeypatch.context() as patch:
        known = flow.globals
        patch.setitem(known, "folds_at", lambda wildcards: {"folds": [0] * 357})
        patch.setattr(os, "walk", lambda *paths: opened.append(paths) or iter(()))
        patch.setattr("builtins.open", lambda *paths, **more: opened.append(paths))
        known["folds_megabytes"](known["folds_per_job"])(stack(block="b000"), 1)
        known["folds_minutes"](known["folds_per_job"])(stack(block="b000"), 1)
    assert not opened


def test_answers_are_counted_in_the_batches_in_which_they_are_written(tmp_path):
    from scripts.llm import answering

    with workflow(copy_checkout(tmp_path / "checkout")) as flow:
        assert flow.globals["ANSWERS"] == answering.ROWS
