"""What the recipes of the default study plan, and mistakes in recipes, which are told before anything runs."""

import ast
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from snakemake.common.tbdstring import TBDString
from snakemake.io import IOFile
from snakemake.iocontainers import InputFiles, Wildcards

from scripts.common.errors import StudyError
from scripts.study import read_study
from tests.planning import copy_checkout, workflow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    with workflow(copy_checkout(tmp_path_factory.mktemp("llm"))) as flow:
        yield {rule.name: rule for rule in flow.rules}


@pytest.fixture
def config():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


# a job of every rule that has those wildcards
EXAMPLE = {"base": "tiny", "recipe": "trader", "phase": "all", "quant": "F32", "source": ""}


def wildcards(**values):
    return Wildcards(fromdict=EXAMPLE | values)


def test_what_asks_a_model_asks_for_a_gpu_and_nothing_else_does(rules):
    asking = {name for name, rule in rules.items() if "gpu" in rule.resources}
    trainings = {"train_sft", "score_reference", "train_dpo", "train_grpo"}
    assert asking == trainings | {"build_base", "verify_gguf", "evaluate_llm"}


def test_a_gpu_is_given_to_what_can_use_it(rules, monkeypatch):
    known = rules["all"].workflow.globals
    monkeypatch.setitem(known, "gpus", lambda wildcards: 1)
    asked = {each: resource(rules["evaluate_llm"], "gpu", artifact=each) for each in ("base", "dpo", "merged", "F32")}
    assert asked == {"base": 1, "dpo": 1, "merged": 1, "F32": 0}
    assert resource(rules["build_base"], "gpu") == 1
    for kind in ("hub", "local", "merge"):
        monkeypatch.setitem(known["study"].bases, "other", SimpleNamespace(kind=kind))
        assert resource(rules["build_base"], "gpu", base="other") == 0
        assert resource(rules["build_base"], "runtime", base="other") == 240


def resource(rule, name, *paths, **values):
    """What a job asks for that has these inputs and wildcards."""
    files = InputFiles([IOFile(str(path), rule=rule) for path in paths])
    return rule.resources[name].evaluate(wildcards(**values), input=files, attempt=1, threads=1).value


def test_a_model_folder_counts_with_the_files_that_its_index_has(rules, tmp_path):
    small, large, file = tmp_path / "small", tmp_path / "large", tmp_path / "data.jsonl"
    for folder, size in ((small, 0), (large, 50 * 2**20)):
        folder.mkdir()
        body = {"files": {"below/model.safetensors": {"sha256": "0" * 64, "size": size}}}
        folder.with_name(f"{folder.name}.index.json").write_text(json.dumps(body))
    with open(file, "wb") as data:
        data.truncate(2**20)
    factors = {
        "train_sft": 2.6,
        "train_dpo": 2.6,
        "score_reference": 2.2,
        "merge_adapter": 0.5,
        "convert_gguf": 0.5,
        "verify_gguf": 2,
    }
    for name, factor in (factors | {"evaluate_llm": 2, "check_recipe": 0, "write_modelfile": 0}).items():
        more, less = (
            resource(rules[name], "mem_mb", folder, tmp_path / f"{folder.name}.index.json", artifact="merged")
            for folder in (large, small)
        )
        assert more - less == pytest.approx(factor * 50, abs=1), name
    assert resource(rules["train_sft"], "mem_mb", file) == 2000 + 16
    # llama.cpp holds a GGUF file; its model stays on the disk
    beside = (large, tmp_path / "large.index.json")
    asked = [resource(rules["evaluate_llm"], "mem_mb", *beside, artifact=each) for each in ("merged", "F32")]
    assert asked == [2600, 2500]
    # what is not made yet is asked again before the job
    nowhere = (tmp_path / "nowhere", tmp_path / "nowhere.index.json")
    for name in factors:
        assert isinstance(resource(rules[name], "mem_mb", *nowhere), TBDString), name
        assert isinstance(resource(rules[name], "runtime", *nowhere), TBDString), name


def read_of_job(script, part):
    """The names that a script reads of ``job.<part>``, or of a local name that is bound to it."""
    nodes = list(ast.walk(ast.parse(Path(script).read_text())))
    whole, bound = ast.unparse(ast.parse(f"job.{part}")), set()
    for node in (each for each in nodes if isinstance(each, ast.Assign)):
        target, value = node.targets[0], node.value
        both = [(target, value)]
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            both = zip(target.elts, value.elts, strict=True)
        bound |= {name.id for name, each in both if ast.unparse(each) == whole}
    of_it = [
        n for n in nodes if isinstance(n, ast.Attribute | ast.Subscript) and ast.unparse(n.value) in bound | {whole}
    ]
    read = {n.attr if isinstance(n, ast.Attribute) else getattr(n.slice, "value", None) for n in of_it}
    return {name for name in read if isinstance(name, str)} - {"get", "items", "keys"}


def test_a_script_reads_only_what_its_rule_gives(rules, monkeypatch):
    recipes = rules["all"].workflow.globals["study"].recipes
    trader = recipes["trader"]  # with every stage, the settings do not matter
    monkeypatch.setitem(recipes, "trader", trader.model_copy(update={"grpo": trader.dpo}))
    scripts = {name: ROOT / f"scripts/llm/{name}.py" for name in rules if (ROOT / f"scripts/llm/{name}.py").exists()}
    assert {"build_base", "train_sft", "write_modelfile", "evaluate_llm", "compare_llms"} <= set(scripts)
    for name, script in scripts.items():
        rule = rules[name]
        inputs = [rule.expand_input(wildcards(artifact=each), groupid=None)[0] for each in ("F32", "dpo")]
        for part, given in (
            ("params", set(rule.params.keys())),
            ("input", set().union(*(each.keys() for each in inputs))),
        ):
            missing = read_of_job(script, part) - given
            assert not missing, f"{name}.py reads {part} {sorted(missing)}; its rule gives {sorted(given)}"
    assert read_of_job(scripts["write_modelfile"], "params") >= {"gguf", "settings"}
    assert {"model", "index", "adapter"} <= read_of_job(scripts["merge_adapter"], "input")


def test_a_base_of_a_folder_takes_its_files_so_that_their_contents_decide(tmp_path, config):
    folder = tmp_path / "mine"
    folder.mkdir()
    kept = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "model.safetensors")
    for name in (*kept, "README.md", "pytorch_model.bin"):
        (folder / name).write_text("x")
    config["bases"]["tiny"] = {"kind": "local", "path": str(folder)}
    checkout = copy_checkout(tmp_path / "checkout")
    (checkout / "config.yaml").write_text(yaml.safe_dump(config))
    with workflow(checkout) as flow:
        (job,) = [job for job in flow.dag.jobs if job.rule.name == "build_base"]
        assert {str(path) for path in job.input} == {str(folder / name) for name in kept}


def test_an_adapter_by_itself_comes_with_the_file_of_its_base(rules):
    files = rules["all"].workflow.globals["llm_files"]
    made = {Path(each).name for each in files("trader") if each.endswith(".gguf")}
    assert made == {"trader-F32.gguf", "trader-Q8_0.gguf", "trader-lora.gguf", "trader-base-F32.gguf"}
    assert {Path(each).name for each in files("planner") if each.endswith(".gguf")} == {
        "planner-F32.gguf",
        "planner-Q8_0.gguf",
    }
    output = rules["convert_gguf"].output[0]
    for recipe in ("trader", "trader-base"):
        folder = f"{rules['all'].workflow.globals['LLM']}/{recipe}/gguf/{recipe}"
        found = {each: output.match(f"{folder}{each}") for each in ("-F32.gguf", "-base-F32.gguf", "-lora.gguf")}
        assert found["-F32.gguf"].groupdict() == {"recipe": recipe, "source": "", "quant": "F32"}
        assert found["-base-F32.gguf"].groupdict() == {"recipe": recipe, "source": "-base", "quant": "F32"}
        assert found["-lora.gguf"] is None
    for source, model in (("-base", "bases/tiny"), ("", "trader/merged")):
        given, *_ = rules["convert_gguf"].expand_input(wildcards(source=source), groupid=None)
        assert given.model.endswith(model) and given.index.endswith(f"{model}.index.json")


def test_a_recipe_has_artifacts_in_the_order_of_training(config):
    study = read_study(config)
    assert study.recipes["planner"].stages == ["sft-A", "sft-B", "sft-C"]
    assert study.recipes["trader"].stages == ["sft-notes", "sft-all", "dpo"]


@pytest.mark.parametrize(
    ("recipe", "change", "told"),
    [
        ("trader", {"base": "tinny"}, "recipes.trader.base: there is no base 'tinny' (there are: tiny)"),
        ("trader", {"corpus": "tradin"}, "recipes.trader.corpus: there is no corpus 'tradin'"),
        (
            "trader",
            {"adapter": {"targets": ["wq"]}},
            "recipes.trader.adapter.targets: the base has no linear layer 'wq'",
        ),
        ("trader", {"dpo": {"parts": ["states"]}}, "corpus 'trading' has no part 'states' with preferences"),
        ("planner", {"dpo": {}}, "recipes.planner.dpo: corpus 'wealth' has no part with preferences"),
        ("planner", {"phases": {"A": {"curriculum": "D"}}}, "phases.A.curriculum: there is no phase 'D'"),
        ("planner", {"phases": {"A": {"sft": {"learning_rat": 1}}}}, "learning_rat"),
        ("planner", {"export": {"lora": True}}, "llama.cpp has no DoRA adapters"),
        ("planner", {"evaluation": {"x": {"kind": "benchmark", "corpus": "trading"}}}, "'trading' has no benchmark"),
    ],
)
def test_a_mistake_in_a_recipe_is_one_clear_error(config, recipe, change, told):
    config["recipes"][recipe] |= change
    with pytest.raises(StudyError) as found:
        read_study(config)
    assert told in str(found.value)


def test_a_merge_of_itself_is_refused(config):
    config["bases"]["loop"] = {"kind": "merge", "method": "linear", "models": {"tiny": 1, "loop": 1}}
    with pytest.raises(StudyError, match="'loop' is merged from itself"):
        read_study(config)


@pytest.mark.parametrize("name", ["forex_llm", "curriculum_dora"])
def test_the_published_recipes_are_valid_and_pin_their_bases(name):
    study = read_study(yaml.safe_load((ROOT / f"studies/{name}.yaml").read_text()))
    assert study.recipes and all(base.kind == "hub" and len(base.revision) == 40 for base in study.bases.values())


@pytest.mark.parametrize(
    ("kind", "trainings", "whole", "processes"), [("data", 2, 1, 2), ("model", 2, 2, 1), ("none", 1, 1, 1)]
)
def test_several_devices_are_asked_for_as_the_recipe_says(
    rules, monkeypatch, tmp_path, kind, trainings, whole, processes
):
    """On one machine and as one task, within which torchrun starts the processes."""
    from snakemake_executor_plugin_slurm.submit_string import get_submit_command

    known = rules["all"].workflow.globals
    trader = known["study"].recipes["trader"]
    parallel = type(trader.parallel)(kind=kind, devices=1 if kind == "none" else 2)
    monkeypatch.setitem(known["study"].recipes, "trader", trader.model_copy(update={"parallel": parallel}))
    file = tmp_path / "data.jsonl"
    file.write_bytes(b"")
    for machine in (0, 1):
        monkeypatch.setitem(known, "gpus", lambda wildcards, machine=machine: machine)
        asked = {name: resource(rules[name], "gpu") for name in ("train_sft", "train_dpo")}
        assert set(asked.values()) == {machine * trainings}
        others = ("score_reference", "train_grpo", "verify_gguf", "evaluate_llm")
        assert {resource(rules[name], "gpu", artifact="dpo") for name in others} == {machine * whole}
    assert known["training_processes"](wildcards()) == processes
    assert resource(rules["train_sft"], "mem_mb", file) == 6000 * processes  # of the host, each with a GPU
    for name in (*asked, *others):
        needs = {each: resource(rules[name], each, artifact="dpo") for each in ("gpu", "tasks", "nodes")}
        job = SimpleNamespace(resources=SubmittedResources(needs), threads=processes)
        told = {
            "run_uuid": "x",
            "slurm_logfile": "x",
            "comment_str": "x",
            "account": "",
            "partition": "",
            "workdir": "",
        }
        command = get_submit_command(job, told)
        # with several tasks, SLURM would start the whole job several times
        assert "ntasks" not in command and " --nodes=1 " in command, command
        assert f" --cpus-per-task={processes}" in command


class SubmittedResources(dict):
    """Resources as the executor sees them."""

    __getattr__ = dict.__getitem__


def test_what_several_devices_change_is_a_param_of_what_they_train(rules, monkeypatch):
    known = rules["all"].workflow.globals
    trader = known["study"].recipes["trader"]

    def params(name, kind, devices):
        parallel = type(trader.parallel)(kind=kind, devices=devices)
        monkeypatch.setitem(known["study"].recipes, "trader", trader.model_copy(update={"parallel": parallel}))
        given = {"parallel": known["parallel_params"], "cards": known["spread"]}
        named = set(rules[name].params.keys())
        return {key: function(wildcards()) for key, function in given.items() if key in named}

    one = {name: params(name, "none", 1) for name in ("train_sft", "train_dpo", "train_grpo", "score_reference")}
    for name, values in one.items():
        assert values, name
        assert params(name, "model", 2) != values
        # GRPO and the reference's scores are made by one process
        assert (params(name, "data", 2) == values) == (name in ("train_grpo", "score_reference"))
    assert not {"parallel", "cards"} & set(rules["evaluate_llm"].params.keys())
