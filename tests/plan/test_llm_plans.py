"""What the recipes of the default study plan, and mistakes in recipes, which are told before anything runs."""

from pathlib import Path

import pytest
import yaml

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


def test_every_training_asks_for_a_gpu_and_no_other_rule_does(rules):
    asking = {name for name, rule in rules.items() if "gpu" in rule.resources}
    assert asking == {"build_base", "train_sft", "score_reference", "train_dpo", "train_grpo", "evaluate_llm"}


def test_a_recipe_has_artifacts_in_the_order_of_training(config):
    study = read_study(config)
    assert study.recipes["planner"].stages == ["sft-A", "sft-B", "sft-C"]
    assert study.recipes["trader"].stages == ["sft-all", "dpo"]


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
