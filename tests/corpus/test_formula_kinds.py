"""Questions on formulas: one answer each, and computations that come out as written."""

import math
import re
from collections import Counter

import numpy as np
import pytest

from scripts.common.errors import StudyError
from scripts.corpus import computations, defects, kinds, rewards, samples, skeletons
from scripts.corpus.parts import Part
from scripts.market import expressions, formulas
from tests.corpus.conversations import CHECKS

ASPECTS = ["definition", "formula", "expression", "variables", "meaning", "failure", "computation"]
# the arithmetic of expressions, in plain Python
FUNCTIONS = {
    "abs": abs,
    "log": math.log,
    "sign": lambda x: float(np.sign(x)),
    "sqrt": math.sqrt,
    "exp": math.exp,
    "min": min,
    "max": max,
    "signed_power": lambda x, a: math.copysign(abs(x) ** a, x),
}


def build(kind="formulas", families="all", number=400, seed=7, **settings):
    part = Part(f"made_{kind}", {"kind": kind, "samples": number, "families": families, **settings}, seed)
    return list(kinds.load(kind).build(part))


@pytest.fixture(scope="module")
def made():
    return build(number=4000, aspects=ASPECTS)


def test_counts_unique_questions_and_no_contradiction(made):
    assert len(made) == 4000
    assert len({samples.prompt_of(each) for each in made}) == 4000
    assert defects.find(made, CHECKS) == {}
    found = skeletons.measure(made)
    assert found["skeletons"] > 1000 and found["largest_share"] < 0.02


def test_equal_on_a_rerun_and_different_with_another_seed(made):
    assert build(number=4000, aspects=ASPECTS) == made
    assert build(number=4000, aspects=ASPECTS, seed=8) != made


def test_families_take_turns():
    families = Counter(each["meta"]["domain"] for each in build(number=60, aspects=["meaning"]))
    assert len(families) == len(formulas.families()) and max(families.values()) - min(families.values()) <= 1


def test_every_computation_comes_out_as_written(made):
    """The given values and the expression, put into Python, give the answer; so does every step."""
    seen = 0
    for each in made:
        if not each["meta"]["template"].startswith("computation"):
            continue
        question, answer = samples.prompt_of(each), samples.answers_of(each)[0]
        terms = re.findall(r"`([^`]+)` (?:=|of) ([-+.e\d]+)(?=[,.:?]|\s|$)", question)
        (expression,) = {text for text in re.findall(r"`([^`]+)`", question) if text not in dict(terms)}
        for term, value in sorted(terms, key=lambda item: -len(item[0])):
            expression = expression.replace(term, f"({value.rstrip('.')})")
        value = eval(expression.replace("^", "**"), {"__builtins__": {}}, FUNCTIONS)
        stated = rewards.stated_number(answer)
        assert stated == pytest.approx(value, rel=1e-5), question
        for line in answer.splitlines():
            left, mark, right = line.rpartition(" = ")
            if mark:
                assert eval(left.replace("^", "**"), {"__builtins__": {}}, FUNCTIONS) == pytest.approx(
                    float(right), rel=1e-6
                )
        seen += 1
    assert seen == 2000


def test_the_panels_terms_are_what_the_engine_gives():
    node = expressions.parse("delta(close, 3) / stddev(close, 5)")
    values = computations.evaluate([node])
    panel = computations._panel()
    direct = expressions.evaluate({"x": expressions.parse("stddev(close, 5)")}, panel)["x"].ravel()
    assert np.array_equal(values["stddev(close, 5)"], direct, equal_nan=True)
    assert set(values) == {"delta(close, 3)", "stddev(close, 5)"}


def test_difficulty_is_the_number_of_operations(made):
    for each in made:
        if each["meta"]["template"].startswith("computation"):
            steps = samples.answers_of(each)[0].count(" = ")
            wanted = "easy" if steps == 1 else "medium" if steps == 2 else "hard" if steps <= 4 else "extreme"
            assert each["meta"]["difficulty"] == wanted


def test_a_formula_that_is_computed_in_a_test_is_not_computed_in_training(made):
    from scripts.corpus import splits

    parts = splits.split(made, validation=0.05, test=0.1)
    computed = [
        {each["meta"]["entity"] for each in part if each["meta"]["template"].startswith("computation")}
        for part in parts.values()
    ]
    assert computed[0] and computed[2] and not computed[0] & computed[2]


def test_chinese_questions_quote_the_chinese_source():
    made = build(families=["alpha191"], number=300, aspects=["definition", "source"])
    chinese = [each for each in made if "\u7684" in samples.prompt_of(each) or "\u8bf7" in samples.prompt_of(each)]
    assert len(chinese) > 50
    source = formulas.load("alpha191")[0].source_zh
    assert "国泰君安" in source
    assert all(source in samples.answers_of(each)[0] for each in chinese)
    english = [
        each for each in made if each["meta"]["language"] == "en" and each["meta"]["template"].startswith("source")
    ]
    assert english and all("Guotai Junan" in samples.answers_of(each)[0] for each in english)


def test_formulas_without_a_sure_source_say_so():
    made = build(number=900, aspects=["source"])
    folklore = {
        each.id for family in formulas.families() for each in formulas.load(family) if each.source == "folklore"
    }
    assert folklore
    for each in made:
        if each["meta"]["entity"] in folklore:
            assert "(" not in samples.answers_of(each)[0].replace(each["meta"]["names"][0], "")


def test_names_that_two_families_share_are_told_apart(made):
    names = [each["meta"]["names"][0] for each in made if each["meta"]["entity"] in ("alpha101.001", "alpha191.001")]
    assert all("Alpha001 of " in name for name in names)


def test_recognition_asks_only_for_formulas_that_are_unlike_all_others():
    made = build(number=800, aspects=["recognition"])
    questions = {}
    for each in made:
        latex = re.search(r"\$\$.*?\$\$", samples.prompt_of(each), re.S)[0]
        questions.setdefault((each["meta"]["domain"], latex), set()).add(each["meta"]["entity"])
    assert all(len(found) == 1 for found in questions.values())


def test_more_questions_than_there_are_is_an_error():
    with pytest.raises(StudyError, match=r"part made_formulas: \d+ questions can be asked .* and 9999 are asked for"):
        build(families=["volatility"], number=9999, aspects=["meaning"])


def test_prompts_of_rewards_verify_their_own_answers():
    made = build("rewards", number=300)
    assert len({samples.prompt_of(each) for each in made}) == 300
    for each in made:
        assert rewards.reward(f"Answer: {each['answer']['value']:.6g}", each["answer"]) == 1
        assert rewards.reward(f"Answer: {each['answer']['value'] * 1.01:.6g}", each["answer"]) == 0
        assert samples.answers_of(each) == []


def test_the_counts_of_the_source_system_in_seconds():
    made = build(number=11628, aspects=["formula", "expression", "variables", "meaning", "failure", "computation"])
    assert len({samples.prompt_of(each) for each in made}) == 11628
    assert skeletons.measure(made)["largest_share"] < 0.02
