"""Questions on federal income tax, computed again in another way, and their phrasings."""

import json
import random
import re
from collections import Counter

import pytest

from scripts.corpus import asking, defects, phrasing, recomputation, skeletons
from scripts.corpus.domains import federal_income_tax
from scripts.corpus.kinds import domain as kind
from scripts.corpus.parts import Part
from scripts.corpus.rewards import mentions, stated_choice, stated_number
from scripts.corpus.topics import income_tax
from scripts.corpus.topics.income_tax import figure

DOMAIN = "federal_income_tax"
QUESTIONS = {each.name: each for each in federal_income_tax.QUESTIONS}
SEEDS = range(50)
# tax at the lower end of the second and of every higher bracket, as the tables of the revenue procedures print it
PRINTED = {
    (2023, "single"): (1_100, 5_147, 16_290, 37_104, 52_832, 174_238.25),
    (2023, "joint"): (2_200, 10_294, 32_580, 74_208, 105_664, 186_601.50),
    (2023, "head"): (1_570, 6_868, 14_678, 35_498, 51_226, 172_623.50),
    (2024, "single"): (1_160, 5_426, 17_168.50, 39_110.50, 55_678.50, 183_647.25),
    (2024, "joint"): (2_320, 10_852, 34_337, 78_221, 111_357, 196_669.50),
    (2024, "head"): (1_655, 7_241, 15_469, 37_417, 53_977, 181_954.50),
    (2025, "single"): (1_192.50, 5_578.50, 17_651, 40_199, 57_231, 188_769.75),
    (2025, "joint"): (2_385, 11_157, 35_302, 80_398, 114_462, 202_154.50),
    (2025, "head"): (1_700, 7_442, 15_912, 38_460, 55_484, 187_031.50),
}
RATES = (0.12, 0.22, 0.24, 0.32, 0.35, 0.37)
STANDARD = {
    2023: {"single": 13_850, "joint": 27_700, "head": 20_800},
    2024: {"single": 14_600, "joint": 29_200, "head": 21_900},
    2025: {"single": 15_750, "joint": 31_500, "head": 23_625},
}
CHILD, BASE = {2023: 2_000, 2024: 2_000, 2025: 2_200}, {2023: 160_200, 2024: 168_600, 2025: 176_100}


def slow_tax(year, status, income):
    """The printed tax at the bracket's lower end and the rate above it: the largest of all lines, tax being convex."""
    lines = zip(figure("brackets", year, status), PRINTED[year, status], RATES, strict=True)
    return max(0.10 * income, *(tax + rate * (income - floor) for floor, tax, rate in lines))


def slow_gains(year, status, ordinary, gains):
    """Tax of ordinary income and gains, as if all were gains, less that of ordinary income alone."""
    zero, fifteen = figure("gains_thresholds", year, status)

    def whole(income):
        return 0.15 * max(income - zero, 0) + 0.05 * max(income - fifteen, 0)

    return whole(ordinary + gains) - whole(ordinary)


def slow_threshold(status, joint, other):
    return joint if status == "joint" else other


def slow_children(year, status, income, children):
    credit, left = children * CHILD[year], income - slow_threshold(status, 400_000, 200_000)
    while left > 0:
        left, credit = left - 1_000, credit - 50
    return credit


def slow_deduction(year, status, income, interest, local, gifts):
    limit = 40_000 if year == 2025 else 10_000
    return "yes" if interest + gifts + min(limit, local) > STANDARD[year][status] else "no"


def slow_medicare(status, wages):
    return 0.009 * max(wages - slow_threshold(status, 250_000, 200_000), 0)


def slow_investment(status, income, investment):
    return 0.038 * max(min(investment, income - slow_threshold(status, 250_000, 200_000)), 0)


def slow_half(year, profit):
    net = 0.9235 * profit
    return (0.153 * net if net <= BASE[year] else 0.124 * BASE[year] + 0.029 * net) / 2


def slow_household(year, status, wages, interest, gains):
    ordinary = wages + interest - STANDARD[year][status]
    regular = slow_tax(year, status, ordinary) + slow_gains(year, status, ordinary, gains)
    surtax = slow_investment(status, wages + interest + gains, interest + gains) + slow_medicare(status, wages)
    return regular + surtax


SLOW = {
    "taxable_income": lambda year, status, income: income - STANDARD[year][status],
    "marginal_rate": lambda year, status, income: (
        100 * (slow_tax(year, status, income) - slow_tax(year, status, income - 1))
    ),
    "average_rate": lambda year, status, income: 100 * slow_tax(year, status, income) / income,
    "child_credit": slow_children,
    "bracket_tax": slow_tax,
    "bonus_tax": lambda year, status, income, bonus: (
        slow_tax(year, status, income + bonus) - slow_tax(year, status, income)
    ),
    "deduction_choice": slow_deduction,
    "gains_tax": slow_gains,
    "refund": lambda year, status, children, wages, withheld: (
        withheld + children * CHILD[year] - slow_tax(year, status, wages - STANDARD[year][status])
    ),
    "additional_medicare": lambda year, status, wages: slow_medicare(status, wages),
    "investment_tax": lambda year, status, income, investment: slow_investment(status, income, investment),
    "payroll_tax": lambda year, wages: 0.0765 * wages - 0.062 * max(wages - BASE[year], 0),
    "self_employment": slow_half,
    "household_tax": slow_household,
}


def asked(name, reserved=False):
    """Fifty of a question, with inputs that went through JSON."""
    question, phrases = QUESTIONS[name], phrasing.load(DOMAIN)
    for seed in SEEDS:
        rng = random.Random(seed)
        inputs = json.loads(json.dumps(question.draw(rng)))
        solution = question.solve(inputs)
        yield inputs, solution, *phrasing.write(question, inputs, solution, phrases, rng, reserved)[:2]


def part(number, **wanted):
    settings = dict.fromkeys(("easy", "medium", "hard", "extreme"), 0) | wanted
    return Part(f"tax{number}", {"kind": "domain", "domain": DOMAIN} | settings, 7, {}, {}, None)


@pytest.mark.parametrize("year, status", PRINTED)
def test_brackets_give_the_taxes_that_the_revenue_procedures_print(year, status):
    ends = figure("brackets", year, status)
    assert [income_tax.tax_of(year, status, end) for end in ends] == pytest.approx(PRINTED[year, status], abs=1e-6)


def test_every_difficulty_has_three_questions():
    counts = Counter(each.difficulty for each in QUESTIONS.values())
    assert len(QUESTIONS) == 14 and len(counts) == 4 and min(counts.values()) >= 3


@pytest.mark.parametrize("name", QUESTIONS)
def test_answers_are_those_of_a_slow_computation(name):
    for inputs, solution, *_ in asked(name):
        slow = SLOW[name](**inputs)
        expected = slow if isinstance(slow, str) else pytest.approx(slow, abs=0.0051)  # written to two decimals
        assert solution.value == expected, inputs


@pytest.mark.parametrize("name", QUESTIONS)
def test_texts_have_year_value_steps_and_the_words_of_the_rubric(name):
    own = phrasing.load(DOMAIN)[name]
    for reserved in (False, True):
        for inputs, solution, prompt, answer in asked(name, reserved):
            assert len(solution.steps) == QUESTIONS[name].steps
            assert solution.text in answer and len(answer.split("\n")) > len(solution.steps)
            assert str(inputs["year"]) in prompt and str(inputs["year"]) in answer
            choice = solution.unit == "choice"
            stated = stated_choice(answer, ["yes", "no"]) if choice else stated_number(answer)
            assert stated == solution.value
            assert mentions(answer, own["expected"]) == own["expected"]
            assert not mentions(answer, own["prohibited"])


def test_every_wording_names_every_input():
    for name, own in phrasing.load(DOMAIN).items():
        shown = set(QUESTIONS[name].show(QUESTIONS[name].draw(random.Random(0))))
        assert len(own["prompts"]) >= 8 and len(own["reserved"]) >= 4 and len(own["answers"]) >= 3
        for text in own["prompts"] + own["reserved"]:
            assert set(re.findall(r"{(\w+)}", text)) == shown, text
        assert all("{steps}" in text and "{answer}" in text and "{year}" in text for text in own["answers"])


def test_reserved_wordings_share_no_run_of_thirteen_words_with_prompts():
    def runs(text):
        words = text.lower().split()
        return {tuple(words[place : place + 13]) for place in range(len(words) - 12)}

    phrases = phrasing.load(DOMAIN).values()
    known = set().union(*(runs(text) for own in phrases for text in own["prompts"]))
    assert known and not any(runs(text) & known for own in phrases for text in own["reserved"])


@pytest.mark.parametrize(
    "number, wanted",
    [
        (1000, {"easy": 250, "medium": 250, "hard": 250, "extreme": 250}),
        (42, {"easy": 12, "medium": 10, "hard": 10, "extreme": 10}),
    ],
)
def test_parts_are_varied_and_without_defects(number, wanted):
    made = list(kind.build(part(number, **wanted)))
    measured = skeletons.measure(made)
    assert len(made) == number
    assert measured["skeletons"] >= 40 and measured["largest_share"] <= 0.05
    assert defects.find(made, {"max_characters": 20_000}) == {}
    assert recomputation.wrong(made) == []


def test_questions_do_not_run_out():
    phrases = phrasing.load(DOMAIN)
    for each in QUESTIONS.values():
        taken = set()
        endless = asking.ask([each], phrases, 3, "many", taken)
        assert len([next(endless) for _ in range(200)]) == 200
