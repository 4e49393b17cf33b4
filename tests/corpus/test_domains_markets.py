"""Investment, compliance, market and trading: answers computed again, wordings that fit, samples that vary."""

import itertools
import json
import random
import re
import string

import pytest

from scripts.corpus import (
    asking,
    benchmarks,
    contamination,
    defects,
    domains,
    parameters,
    phrasing,
    recomputation,
    rewards,
    skeletons,
)
from scripts.corpus.figures import dollars, percent, plain, rounded
from scripts.corpus.kinds import domain
from scripts.corpus.parts import Part
from scripts.corpus.questions import DIFFICULTIES
from scripts.corpus.topics import oversight, rulebook
from tests.corpus.conversations import CHECKS
from tests.corpus.recomputation_markets import COMPLIANCE, INVESTMENT, TRADING

PLAIN = {"investment": INVESTMENT, "compliance": COMPLIANCE, "market_trading": TRADING}
QUESTIONS = [(name, each) for name in PLAIN for each in domains.load(name).QUESTIONS]
of_question = pytest.mark.parametrize(("name", "question"), QUESTIONS, ids=[each.name for _, each in QUESTIONS])
of_domain = pytest.mark.parametrize("name", sorted(PLAIN))
SEEDS = range(50)


def drawn(question, seeds=SEEDS):
    for seed in seeds:
        inputs = question.draw(random.Random(seed))
        yield inputs, question.solve(inputs)


def part(name, each, seed=5):
    return Part("made", {"domain": name} | dict.fromkeys(DIFFICULTIES, each), seed)


@pytest.fixture(scope="module")
def made():
    return {name: list(domain.build(part(name, 500))) for name in PLAIN}


@of_domain
def test_there_are_enough_questions_of_every_difficulty(name):
    found = [each.difficulty for each in domains.load(name).QUESTIONS]
    assert len(found) >= 14
    assert min(found.count(each) for each in DIFFICULTIES) >= 3
    assert sorted(each.name for each in domains.load(name).QUESTIONS) == sorted(PLAIN[name])
    assert sorted(phrasing.load(name)) == sorted(PLAIN[name])


@of_question
def test_solutions_are_what_plain_code_computes(name, question):
    for inputs, solution in drawn(question):
        expected = PLAIN[name][question.name](**inputs)
        assert len(solution.steps) == question.steps
        if isinstance(expected, str | int):
            assert solution.value == expected
        else:
            # half a unit of the last decimal that is written
            decimals = 2 if abs(expected) >= 10 else 3 if abs(expected) >= 1 else 4 if abs(expected) >= 0.1 else 5
            assert solution.value == pytest.approx(expected, rel=1e-9, abs=0.501 * 10**-decimals)
        assert json.loads(json.dumps(inputs)) == inputs
        assert question.solve(json.loads(json.dumps(inputs))) == solution


@of_question
def test_texts_state_the_value(name, question):
    for _, solution in drawn(question):
        if solution.unit == "choice":
            assert solution.text == solution.value in ("yes", "no")
        else:
            number = re.match(r"-?\$?[\d,]+(?:\.\d+)?", solution.text)[0]
            assert float(re.sub(r"[$,]", "", number)) == solution.value


@of_question
def test_every_wording_of_an_answer_is_right_and_meets_its_rubric(name, question):
    own = phrasing.load(name)[question.name]
    rubric = {key: own[key] for key in ("expected", "prohibited")}
    for inputs, solution in drawn(question, range(2)):
        answer = {"kind": "choice", "value": solution.value}
        if solution.unit != "choice":
            answer = {"kind": "number", "value": solution.value, "tolerance": benchmarks.TOLERANCE}
        texts = [[text.format(**step.values) for text in own["steps"][step.name]] for step in solution.steps]
        for chosen, frame in itertools.product(itertools.product(*texts), own["answers"]):
            values = question.show(inputs) | {"steps": "\n".join(chosen), "answer": solution.text}
            assert rewards.reward(frame.format(**values), answer | rubric) == 1


@of_question
def test_wordings_are_many_and_state_all_inputs(name, question):
    own = phrasing.load(name)[question.name]
    assert len(own["prompts"]) >= 8
    assert len(own["reserved"]) >= 4
    assert len(own["answers"]) >= 3
    assert set(own["steps"]) == {each.name for each in question.solve(question.draw(random.Random(1))).steps}
    assert min(map(len, own["steps"].values())) >= (3 if question.steps == 1 else 2)
    shown = question.show(question.draw(random.Random(1)))
    for text in own["prompts"] + own["reserved"]:
        assert {key for _, key, _, _ in string.Formatter().parse(text) if key} == set(shown)


@of_question
def test_reserved_wordings_share_no_long_run_with_the_others(name, question):
    phrases, length = phrasing.load(name), CHECKS["ngram"]
    # the names of the inputs stand for their values: as if all of them were the same
    known = set()
    for own in phrases.values():
        for text in own["prompts"]:
            known |= contamination.runs(contamination.words(text), length)
    for text in phrases[question.name]["reserved"]:
        assert not known & contamination.runs(contamination.words(text), length)


@of_question
def test_there_are_thousands_of_inputs_and_both_choices(name, question):
    found = list(drawn(question, range(1500)))
    # of 2,800 equally likely inputs so many draws give 1,100 different ones
    assert len({asking.identify(question.name, inputs) for inputs, _ in found}) > 1100
    if found[0][1].unit == "choice":
        assert 0.2 < sum(solution.value == "yes" for _, solution in found) / len(found) < 0.8


@of_domain
def test_samples_are_varied_and_sound(name, made):
    measured = skeletons.measure(made[name])
    assert measured["samples"] == 2000
    assert measured["skeletons"] >= CHECKS["min_skeletons"]
    assert measured["largest_share"] <= CHECKS["max_skeleton_share"]
    assert defects.find(made[name], CHECKS) == {}
    assert recomputation.wrong(made[name]) == []
    assert len({each["messages"][0]["content"] for each in made[name]}) == 2000
    assert list(domain.build(part(name, 25))) == list(domain.build(part(name, 25)))


@of_domain
def test_training_does_not_meet_the_benchmark(name, made):
    taken = {benchmarks.identity(each) for each in made[name]}
    benchmark = benchmarks.questions(name, 120, 5, taken)
    assert recomputation.wrong(benchmark) == []
    assert all(rewards.reward(each["meta"]["reference"], each["answer"]) == 1 for each in benchmark)
    found = contamination.find(made[name], benchmark, ngram=CHECKS["ngram"], max_similarity=CHECKS["max_similarity"])
    assert found == {"exact": [], "ngram": [], "similar": []}


def test_figures_of_rules_have_units_and_sources():
    content = parameters.load(rulebook.FILE)
    assert content["year"] == 2025
    assert all(list(each) == ["value", "unit", "source"] for each in content["figures"].values())
    asked = [each for each in domains.load("compliance").QUESTIONS if each.parameters == (rulebook.FILE,)]
    assert len(asked) == len(COMPLIANCE)


@pytest.mark.parametrize(
    ("quarter", "due"),
    [
        # Form 13F due dates as the SEC lists them
        ("2023-12-31", "2024-02-14"),
        ("2024-03-31", "2024-05-15"),
        ("2024-06-30", "2024-08-14"),
        ("2024-09-30", "2024-11-14"),
        ("2024-12-31", "2025-02-14"),
        # February 14, 2026 is a Saturday and the Monday after it a holiday
        ("2025-12-31", "2026-02-17"),
    ],
)
def test_reports_of_managers_are_due_on_business_days(quarter, due):
    question = next(each for each in oversight.QUESTIONS if each.name == "days_late")
    late = question.solve({"year": 2025, "quarter": quarter, "filed": "2026-07-31"})
    again = question.solve({"year": 2025, "quarter": quarter, "filed": due})
    assert again.value == 0
    assert late.value > 0


@pytest.mark.parametrize(
    ("name", "question", "inputs", "value"),
    [
        # Hull, Options, Futures, and Other Derivatives: 42, 40, 10 %, 20 %, six months: 4.76
        (
            "investment",
            "black_scholes_call",
            {"spot": 42, "strike": 40, "rate": 10, "volatility": 20, "months": 6},
            4.759,
        ),
        # a par bond costs its face value, whatever its term
        ("investment", "bond_price", {"face": 1000, "coupon": 5, "required": 5, "years": 17}, 1000),
        # half of the trades at even odds are worth nothing, 60 % a fifth of the capital (Kelly 1956)
        ("market_trading", "kelly_fraction", {"wins": 60, "gain": 100, "loss": 100}, 20),
        # a loss of one half takes a gain of 100 %
        ("market_trading", "drawdown_recovery", {"depth": 50}, 100),
        # bought at 100 on half margin, called at 66.67 (maintenance 25 %)
        ("compliance", "margin_call_price", {"year": 2025, "shares": 100, "price": 100}, 66.67),
    ],
)
def test_known_answers(name, question, inputs, value):
    found = next(each for each in domains.load(name).QUESTIONS if each.name == question)
    assert found.solve(inputs).value == value


@pytest.mark.parametrize(
    ("value", "kept", "money", "share"),
    [
        (1234.567, 1234.57, "$1,234.57", "1,234.57 %"),
        (-12.0, -12.0, "-$12", "-12 %"),
        (7.25, 7.25, "$7.25", "7.25 %"),
        (7.2534, 7.253, "$7.253", "7.253 %"),
        (0.04321, 0.04321, "$0.04321", "0.04321 %"),
        (-0.000001, 0.0, "$0", "0 %"),
    ],
)
def test_figures_have_four_digits_and_no_idle_ones(value, kept, money, share):
    assert rounded(value)[0] == kept
    assert dollars(value) == money
    assert percent(value) == share
    assert plain(value, 1) == f"{kept:,.1f}"
