"""Estate planning: every answer is computed again, from the figures of the statutes as printed, in other ways."""

import random
import re
import string
from fractions import Fraction

import pytest

from scripts.corpus import contamination, defects, domains, parameters, phrasing, recomputation, rewards, skeletons
from scripts.corpus.kinds import domain as kind
from scripts.corpus.parts import Part
from scripts.corpus.samples import answers_of
from tests.corpus.conversations import CHECKS

DOMAIN = "estate_planning"
QUESTIONS = domains.load(DOMAIN).QUESTIONS
ANNUAL = {2023: 17_000, 2024: 18_000, 2025: 19_000}
SPOUSE = {2023: 175_000, 2024: 185_000, 2025: 190_000}
BASIC = {2023: 12_920_000, 2024: 13_610_000, 2025: 13_990_000}
# section 2001(c): the marginal rates of the slices of the amount
SLICES = ((10, 18), (20, 20), (40, 22), (60, 24), (80, 26), (100, 28), (150, 30), (250, 32), (500, 34), (750, 37))
SLICES += ((1_000, 39), (10**9, 40))
TERM = r"\(?\$?\d[\d,]*(?:\.\d+)?(?: %)?\)?"
SUM = re.compile(rf"({TERM}(?: [-+x/] {TERM})+) = \$?(\d[\d,]*(?:\.\d+)?)")


def tentative(amount):
    tax, floor = Fraction(0), 0
    for top, rate in SLICES:
        tax += Fraction(max(0, min(amount, top * 1000) - floor) * rate, 100)
        floor = top * 1000
    return tax


def tax_on(estate, year, more=0):
    """The estate tax as the statute has it: tentative tax less the credit for the exclusion."""
    return max(0, tentative(estate) - tentative(BASIC[year] + more))


def given(amounts, exclusion):
    return sum(max(0, each - exclusion) for each in amounts)


def annuity_gift(year, fund, annuity, rate, term):
    for _ in range(term):
        # what has to be in the fund so that the rest is there after the last payment
        fund = fund * (1 + rate / 100) - annuity
    return fund / (1 + rate / 100) ** term


def heirs(year, estate, children, more, fewer):
    dead = [estate * Fraction(1, children) for _ in range(2)]
    return sum(dead) / (more + fewer) - dead[0] / more


def skip_tax(year, skip, used):
    thousandths = int(Fraction(BASIC[year] - used, skip) * 1000 + Fraction(1, 2))
    return Fraction(skip * (1000 - thousandths) * 40, 100_000)


def cash(year, gross, debts, costs, spouse, charity, liquid):
    out = debts + costs
    return out + tax_on(gross - out - spouse - charity, year) - liquid


def credit(year, donees, gift, prior):
    return tentative(prior + given([gift] * donees, ANNUAL[year])) - tentative(prior)


AGAIN = {
    "taxable_gifts": lambda year, donees, gift: given([gift] * donees, ANNUAL[year]),
    "noncitizen_spouse": lambda year, gifts: given([sum(gifts)], SPOUSE[year]),
    "exclusion_left": lambda year, gifts: BASIC[year] - gifts[0] - gifts[1] - gifts[2],
    "gift_splitting": lambda year, donees, gift: given([gift] * donees, 2 * ANNUAL[year]) / 2,
    "five_year_election": lambda year, beneficiaries, contribution: given(
        [contribution] * beneficiaries, 5 * ANNUAL[year]
    ),
    "skip_tax": skip_tax,
    "credit_used": credit,
    "step_up": lambda year, shares, cost, price, rate: (
        shares * (Fraction(str(price)) - Fraction(str(cost))) * Fraction(str(rate)) / 100
    ),
    "estate_tax": lambda year, estate, gifts: tax_on(estate + gifts, year),
    "annuity_trust": annuity_gift,
    "portability": lambda first, year, estate, survivor: tax_on(survivor, year, BASIC[first] - estate),
    "shares_of_heirs": heirs,
    "insurance_trust": lambda year, estate, costs, policy: (
        tax_on(estate + policy - costs, year) - tax_on(estate - costs, year)
    ),
    "cash_needed": cash,
}


def part(**counts):
    levels = {"easy": 0, "medium": 0, "hard": 0, "extreme": 0} | counts
    return Part("made", {"kind": "domain", "domain": DOMAIN} | levels, 7)


@pytest.fixture(scope="module")
def made():
    return list(kind.build(part(easy=250, medium=250, hard=250, extreme=250)))


def test_fourteen_questions_of_all_difficulties():
    levels = [each.difficulty for each in QUESTIONS]
    assert len({each.name for each in QUESTIONS}) == 14
    assert all(levels.count(each) >= 3 for each in ("easy", "medium", "hard", "extreme"))


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.name)
def test_answers_computed_in_another_way(question):
    own = phrasing.load(DOMAIN)[question.name]
    for seed in range(50):
        rng = random.Random(seed)
        inputs = question.draw(rng)
        solution = question.solve(inputs)
        assert solution.value == pytest.approx(float(AGAIN[question.name](**inputs)), rel=1e-8, abs=0.006)
        assert len(solution.steps) == question.steps and {each.name for each in solution.steps} == set(own["steps"])
        assert rewards.stated_number(solution.text) == solution.value
        for reserved in (False, True):
            prompt, answer, _ = phrasing.write(
                question, inputs, solution, phrasing.load(DOMAIN), rng, reserved=reserved
            )
            assert rewards.stated_number(answer) == solution.value
            assert str(inputs["year"]) in prompt and str(inputs["year"]) in answer
            assert all(text in prompt for text in question.show(inputs).values())
            assert rewards.mentions(answer, own["expected"]) == own["expected"]
            assert not rewards.mentions(answer, own["prohibited"])
            assert solution.text in answer.split("\n")[-1] and (prompt + answer).isascii()


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.name)
def test_wordings(question):
    own = phrasing.load(DOMAIN)[question.name]
    assert len(own["prompts"]) >= 8 and len(own["reserved"]) >= 4 and len(own["answers"]) >= 3
    assert all(len(texts) >= 2 for texts in own["steps"].values())
    shown = set(question.show(question.draw(random.Random(1))))
    for text in own["prompts"] + own["reserved"]:
        assert {name for _, name, _, _ in string.Formatter().parse(text) if name} == shown, text
    assert all("{steps}" in text and "{answer}" in text and "{year}" in text for text in own["answers"])
    for reserved in own["reserved"]:
        for prompt in own["prompts"]:
            words = contamination.words(reserved), contamination.words(prompt)
            assert not contamination.runs(words[0], 13) & contamination.runs(words[1], 13)
            assert contamination.jaccard(*words) < 0.8


def test_arithmetic_in_the_texts(made):
    """What stands left of an equal sign gives what stands right of it."""
    seen = 0
    for sample in made:
        for sum_, stated in SUM.findall(answers_of(sample)[0]):
            for sign, python in ((" %", "/100"), (" x ", "*"), ("$", ""), (",", "")):
                sum_ = sum_.replace(sign, python)
            # what is written is rounded to cents, the fraction of a skip to thousandths
            stated = float(stated.replace(",", ""))
            assert eval(sum_, {"__builtins__": {}}) == pytest.approx(
                stated, rel=1e-5, abs=0.03 if stated > 1 else 0.00051
            ), answers_of(sample)[0]
            seen += 1
    assert seen > 1000


def test_a_part_of_it(made):
    assert len(made) == 1000 and not defects.find(made, CHECKS) and not recomputation.wrong(made)
    counts = skeletons.measure(made)
    assert counts["skeletons"] >= 40 and counts["largest_share"] <= 0.05


@pytest.mark.parametrize("level", ["easy", "medium", "hard", "extreme"])
def test_parts_of_one_difficulty(level):
    made = list(kind.build(part(**{level: 1000})))
    counts = skeletons.measure(made)
    assert counts["skeletons"] >= 40 and counts["largest_share"] <= 0.05 and counts["answers"] >= 12


def test_figures_as_printed():
    figures = parameters.load("estate_tax")["figures"]
    assert figures["annual_exclusion"]["value"] == ANNUAL and figures["noncitizen_spouse"]["value"] == SPOUSE
    assert figures["basic_exclusion"]["value"] == figures["gst_exemption"]["value"] == BASIC
    assert all(set(each["source"]) == set(each["value"]) == set(ANNUAL) for each in figures.values())
    # each bracket starts with the tax that the slices below it add up to
    assert all(each["tax"] == tentative(each["over"]) for each in parameters.load("estate_tax")["table"]["brackets"])


def test_unused_exclusion_is_never_above_the_basic_exclusion_of_the_second_year():
    portability = next(each for each in QUESTIONS if each.name == "portability")
    inputs = {"first": 2025, "year": 2023, "estate": 0, "survivor": 30_000_000}
    assert portability.solve(inputs).value == (30_000_000 - 2 * 12_920_000) * 0.4
