"""What a recipe names has to be there: every mistake is one line, before anything runs."""

import copy

import pytest

from scripts.common.errors import StudyError
from scripts.llm import cross_references
from scripts.study import read_study

EXIT = {"horizon": 24, "cost": 0.0005}
STUDY = {
    "markets": {
        "m": {
            "source": {"kind": "simulate", "start": "2020-01-01", "end": "2021-01-01"},
            "symbols": ["ALPHA", "BETA"],
            "timeframe": "1h",
            "calendar": "always",
        }
    },
    "corpora": {
        "trading": {
            "market": "m",
            "parts": {
                "formulas": {"kind": "formulas", "samples": 40},
                "pairs": {"kind": "preferences", "per_symbol": 20, "exit": EXIT},
                "verifiable": {"kind": "rewards", "samples": 20},
            },
        },
        "wealth": {
            "parts": {
                "taxes": {
                    "kind": "domain",
                    "domain": "federal_income_tax",
                    "easy": 9,
                    "medium": 9,
                    "hard": 9,
                    "extreme": 9,
                }
            },
            "curriculum": {
                "phases": {"A": {"samples": 8, "easy": 0.25, "medium": 0.25, "hard": 0.25, "extreme": 0.25}}
            },
            "benchmark": {"per_domain": 2},
        },
    },
    "bases": {
        "tiny": {"kind": "scratch", "corpora": ["trading", "wealth"]},
        "other": {"kind": "scratch", "corpora": ["wealth"]},
        "both": {"kind": "merge", "method": "slerp", "models": {"tiny": 1, "other": 1}},
    },
    "recipes": {
        "trader": {
            "base": "tiny",
            "corpus": "trading",
            "sft": {"parts": ["formulas"]},
            "dpo": {"parts": ["pairs"]},
            "grpo": {"parts": ["verifiable"]},
            "evaluation": {
                "pairs": {"kind": "pairs", "corpus": "trading"},
                "texts": {"kind": "held_out", "corpus": "wealth", "parts": ["taxes"]},
                "prompts": {"kind": "prompts", "corpus": "trading"},
                "decisions": {"kind": "decisions", "corpus": "trading", "parts": ["pairs"]},
                "benchmark": {"kind": "benchmark", "corpus": "wealth"},
                "harness": {"kind": "harness", "tasks": ["piqa"]},
            },
        },
        "planner": {"base": "both", "corpus": "wealth", "phases": {"A": {"curriculum": "A"}, "all": {}}},
    },
}


def changed(place, value):
    """The study with one value changed or added; ``place``: keys with dots between."""
    study = copy.deepcopy(STUDY)
    *way, last = place.split(".")
    inner = study
    for key in way:
        inner = inner.setdefault(key, {})
    inner[last] = value
    return study


def complaint(*changes):
    """What :func:`read_study` says of a study with changes."""
    study = STUDY
    for place, value in changes:
        inner = changed(place, value)
        study = inner if study is STUDY else study | {place.split(".")[0]: inner[place.split(".")[0]]}
    with pytest.raises(StudyError) as found:
        read_study(study)
    return str(found.value)


def test_a_study_without_mistakes_has_none():
    assert cross_references.mistakes(read_study(STUDY)) == []


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (
            "recipes.trader.base",
            "tinny",
            "recipes.trader.base: there is no base 'tinny' (there are: tiny, other, both)",
        ),
        ("recipes.trader.corpus", "x", "recipes.trader.corpus: there is no corpus 'x' (there are: trading, wealth)"),
        ("bases.tiny.corpora", ["x"], "bases.tiny.corpora: there is no corpus 'x'"),
        ("bases.both.models", {"tiny": 1, "x": 1}, "bases.both.models: there is no base 'x'"),
        ("bases.both.models", {"tiny": 1, "both": 1}, "bases.both.models: 'both' is merged from itself"),
        ("recipes.trader.sft.parts", ["x"], "recipes.trader.sft.parts: corpus 'trading' has no part 'x' with messages"),
        ("recipes.trader.sft.parts", ["pairs"], "has no part 'pairs' with messages (formulas)"),
        ("recipes.trader.dpo.parts", ["formulas"], "has no part 'formulas' with preferences (pairs)"),
        ("recipes.trader.grpo.parts", ["pairs"], "has no part 'pairs' with prompts (verifiable)"),
        ("recipes.planner.dpo", {}, "recipes.planner.dpo: corpus 'wealth' has no part with preferences"),
        ("recipes.planner.grpo", {}, "recipes.planner.grpo: corpus 'wealth' has no part with prompts"),
        (
            "recipes.planner.phases",
            {"B": {"curriculum": "B"}},
            "phases.B.curriculum: there is no phase 'B' (there are: A)",
        ),
        (
            "recipes.trader.adapter.targets",
            ["qkv"],
            "recipes.trader.adapter.targets: the base has no linear layer 'qkv'",
        ),
        ("recipes.trader.evaluation.texts.corpus", "x", "evaluation.texts.corpus: there is no corpus 'x'"),
        ("recipes.trader.evaluation.texts.parts", ["x"], "evaluation.texts.parts: corpus 'wealth' has no part 'x'"),
        ("recipes.trader.evaluation.pairs.corpus", "wealth", "corpus 'wealth' has no part with preferences"),
        ("recipes.trader.evaluation.prompts.corpus", "wealth", "corpus 'wealth' has no part with prompts"),
        ("recipes.trader.evaluation.benchmark.corpus", "trading", "corpus 'trading' has no benchmark; give it one"),
        ("recipes.trader.evaluation.decisions.ensemble", "x", "there is no ensemble 'x' (there are: none)"),
        ("recipes.bases", STUDY["recipes"]["trader"], "recipes: 'bases' is a folder of the stage; rename the recipe"),
    ],
)
def test_each_mistake_is_one_line_that_says_where(place, value, said):
    text = complaint((place, value))
    assert said in text
    assert sum(said.split(":")[0] in line for line in text.splitlines()) == 1


def test_every_mistake_is_told_at_once():
    text = complaint(("recipes.trader.base", "x"), ("bases.tiny.corpora", ["y"]))
    assert "recipes.trader.base: there is no base 'x'" in text
    assert "bases.tiny.corpora: there is no corpus 'y'" in text


def test_bases_that_are_merged_from_each_other_are_found():
    study = changed("bases.both.models", {"tiny": 1, "second": 1})
    study["bases"]["second"] = {"kind": "merge", "method": "linear", "models": {"both": 1, "tiny": 1}}
    with pytest.raises(StudyError, match="'both' is merged from itself"):
        read_study(study)


def test_ancestors_are_all_that_a_base_is_merged_from():
    study = changed(
        "bases.third", {"kind": "merge", "method": "ties", "models": {"both": 1, "other": 1}, "onto": "tiny"}
    )
    bases = read_study(study).bases
    assert cross_references.ancestors(bases, "third") == {"both", "tiny", "other"}
    assert cross_references.ancestors(bases, "tiny") == set()


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("recipes.trader.adapter", {"method": "dora", "r": 4}, None),
        ("recipes.trader.export", {"quants": ["F32", "F32"]}, "a quant is named twice"),
        ("recipes.trader.phases", {"A": {"sft": {"epoch": 1}}}, "epoch"),
        ("recipes.trader.phases", {"A": {"sft": {"epochs": 0}}}, "epochs"),
        ("bases.both.models", {"tiny": 1}, "slerp merges two models, not 1"),
        ("bases.tiny.hidden", 128, "256"),
        ("bases.hub", {"kind": "hub", "id": "a/b", "revision": "main"}, "revision"),
    ],
)
def test_settings_that_cannot_work_are_refused(place, value, said):
    if said is None:
        read_study(changed(place, value))
    else:
        assert said in complaint((place, value))


def test_an_adapter_of_dora_is_not_exported_for_hot_swap():
    study = changed("recipes.trader.adapter", {"method": "dora"})
    study["recipes"]["trader"]["export"] = {"lora": True}
    with pytest.raises(StudyError, match="llama.cpp has no DoRA adapters"):
        read_study(study)
