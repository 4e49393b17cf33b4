"""Retirement planning: answers computed again by plain loops and tables of their own, and the wordings."""

import random
import re
import string

import pytest

from scripts.corpus import contamination, defects, parameters, phrasing, recomputation, skeletons
from scripts.corpus.domains import retirement_planning
from scripts.corpus.kinds import domain
from scripts.corpus.parts import Part
from scripts.corpus.samples import answers_of
from scripts.corpus.topics import contributions, withdrawals
from tests.corpus.conversations import CHECKS

NAME = "retirement_planning"
QUESTIONS = {each.name: each for each in retirement_planning.QUESTIONS}
DIVISORS = dict(
    zip(
        range(73, 101),
        [26.5, 25.5, 24.6, 23.7, 22.9, 22.0, 21.1, 20.2, 19.4, 18.5, 17.7, 16.8, 16.0, 15.2]
        + [14.4, 13.7, 12.9, 12.2, 11.5, 10.8, 10.1, 9.5, 8.9, 8.4, 7.8, 7.3, 6.8, 6.4],
        strict=True,
    )
)


def accumulated(payment, rate, periods):
    """Payments at the end of each period, period by period; rate as a fraction."""
    balance = 0.0
    for _ in range(periods):
        balance = balance * (1 + rate) + payment
    return balance


def compounded(amount, rate, years):
    for _ in range(years):
        amount += amount * rate / 100
    return amount


def full_age(birth):
    return 12 * 67 if birth >= 1960 else 12 * 66 + 2 * (birth - 1954)


def benefit(birth, amount, months):
    """The monthly benefit, month by month."""
    share, full = 1.0, full_age(birth)
    for month in range(months, full):
        share -= (5 / 9 if full - month <= 36 else 5 / 12) / 100
    for _ in range(full, months):
        share += 0.08 / 12
    return amount * share


def contribution_room(account, year, age, paid):
    if account == "ira":
        return {2023: 6500, 2024: 7000, 2025: 7000}[year] + 1000 * (age >= 50) - paid
    extra = 0 if age < 50 else 11_250 if year == 2025 and age in range(60, 64) else 7500
    return {2023: 22_500, 2024: 23_000, 2025: 23_500}[year] + extra - paid


def employer_match(salary, own, match, cap):
    return salary * (own if own < cap else cap) / 100 * match / 100


def roth_or_traditional(pay, now, later, rate, years):
    roth = compounded(pay * (100 - now) / 100, rate, years)
    return roth - compounded(pay, rate, years) * (100 - later) / 100


def retirement_gap(need, benefit, inflation, years, withdrawal, savings, rate):
    pot = compounded(need - benefit, inflation, years) * 100 / withdrawal
    return (pot - compounded(savings, rate, years)) / accumulated(1, rate / 100, years)


def pension_lump_sum(pension, years, rate):
    return sum(pension / (1 + rate / 100) ** year for year in range(1, years + 1))


def pot_life(pot, withdrawal, rate):
    """By bisection of the present value of withdrawals for so many years."""
    low, high = 0.0, 200.0
    for _ in range(200):
        middle = (low + high) / 2
        value = withdrawal * (1 - (1 + rate / 100) ** -middle) / (rate / 100)
        low, high = (middle, high) if value < pot else (low, middle)
    return low


def two_distributions(year, age, balance, growth):
    first = balance / DIVISORS[age]
    return first + (balance - first) * (100 + growth) / 100 / DIVISORS[age + 1]


def break_even_age(birth, amount, early, late):
    low, high = benefit(birth, amount, 12 * early), benefit(birth, amount, 12 * late)
    # low x (age - early) = high x (age - late)
    return (high * late - low * early) / (high - low)


PLAIN = {
    "annuity_saving": lambda deposit, rate, years: accumulated(deposit, rate / 100, years),
    "inflated_need": lambda need, inflation, years: compounded(need, inflation, years),
    "contribution_room": contribution_room,
    "employer_match": employer_match,
    "monthly_saving": lambda goal, rate, years: goal / accumulated(1, rate / 1200, 12 * years),
    "roth_or_traditional": roth_or_traditional,
    "retirement_gap": retirement_gap,
    "first_withdrawal": lambda pot, rate: pot * rate / 1200,
    "required_distribution": lambda year, age, balance: balance / DIVISORS[age],
    "pension_lump_sum": pension_lump_sum,
    "pot_life": pot_life,
    "claiming_benefit": lambda birth, age, amount: benefit(birth, amount, age),
    "two_distributions": two_distributions,
    "break_even_age": break_even_age,
}

# amounts are rounded to the cent before they are added or subtracted: a cent, or a hundredth of a year
TO_THE_CENT = ("roth_or_traditional", "two_distributions", "break_even_age")


def part(easy, medium, hard, extreme, seed=5):
    settings = {"domain": NAME, "easy": easy, "medium": medium, "hard": hard, "extreme": extreme}
    return list(domain.build(Part("made", settings, seed)))


@pytest.fixture(scope="module")
def made():
    return part(250, 250, 250, 250)


def test_there_are_enough_questions_of_each_difficulty():
    counts = [
        sum(each.difficulty == name for each in QUESTIONS.values()) for name in ("easy", "medium", "hard", "extreme")
    ]
    assert len(QUESTIONS) == len(retirement_planning.QUESTIONS) == 14
    assert min(counts) >= 3


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_solutions_are_what_plain_code_computes(name):
    question, phrases = QUESTIONS[name], phrasing.load(NAME)
    for seed in range(50):
        inputs = question.draw(random.Random(seed))
        solution = question.solve(inputs)
        expected = PLAIN[name](**inputs)
        # half a unit of the last decimal that is written
        decimals = 2 if abs(expected) >= 10 else 3 if abs(expected) >= 1 else 4
        tolerance = 0.02 if name in TO_THE_CENT else 0.51 * 10**-decimals
        assert solution.value == pytest.approx(expected, rel=1e-9, abs=tolerance)
        assert float(re.sub(r"[$,]", "", solution.text)) == solution.value
        assert len(solution.steps) == question.steps
        _, answer, _ = phrasing.write(question, inputs, solution, phrases, random.Random(seed))
        assert solution.text in answer


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_every_wording_fits_and_meets_its_rubric(name):
    question, own = QUESTIONS[name], phrasing.load(NAME)[name]
    assert len(own["prompts"]) >= 8
    assert len(own["reserved"]) >= 4
    for seed in range(40):
        rng = random.Random(seed)
        inputs = question.draw(rng)
        for text in own["prompts"] + own["reserved"]:
            assert set(question.show(inputs)) == {key for _, key, _, _ in string.Formatter().parse(text) if key}
        solution = question.solve(inputs)
        _, answer, _ = phrasing.write(question, inputs, solution, {name: own}, rng, reserved=bool(seed % 2))
        assert all(word.lower() in answer.lower() for word in own["expected"])
        assert not any(word.lower() in answer.lower() for word in own["prohibited"])
        years = [str(inputs[key]) for key in ("year", "birth") if key in inputs]
        assert all(year in answer for year in years)


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_reserved_wordings_share_no_long_run_with_the_others(name):
    question, own = QUESTIONS[name], phrasing.load(NAME)[name]
    shown = question.show(question.draw(random.Random(1)))
    known = set()
    for text in own["prompts"]:
        known |= contamination.runs(contamination.words(text.format(**shown)), CHECKS["ngram"])
    for text in own["reserved"]:
        assert not known & contamination.runs(contamination.words(text.format(**shown)), CHECKS["ngram"])


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_answers_have_at_most_a_dozen_fixed_words_in_a_row(name):
    own = phrasing.load(NAME)[name]
    for text in own["answers"] + [each for texts in own["steps"].values() for each in texts]:
        for fixed, _, _, _ in string.Formatter().parse(text):
            assert len(contamination.words(fixed)) <= 12


def test_samples_are_varied_and_right(made):
    measured = skeletons.measure(made)
    assert len(made) == 1000
    assert measured["skeletons"] >= CHECKS["min_skeletons"]
    assert measured["largest_share"] <= CHECKS["max_skeleton_share"]
    assert defects.find(made, CHECKS) == {}
    assert recomputation.wrong(made) == []
    assert len({each["messages"][0]["content"] for each in made}) == len(made)


def test_recomputation_notices_a_changed_input(made):
    changed = [each for each in made if each["meta"]["question"] == "required_distribution"][0]
    inputs = changed["meta"]["inputs"] | {"balance": changed["meta"]["inputs"]["balance"] + 1000}
    wrong = recomputation.wrong([changed | {"meta": changed["meta"] | {"inputs": inputs}}])
    assert [place for place, _ in wrong] == [changed["meta"]["id"]]


def test_a_part_is_made_alike_twice_and_small_parts_are_varied():
    small = part(12, 10, 10, 10)
    assert small == part(12, 10, 10, 10)
    assert skeletons.measure(small)["largest_share"] <= CHECKS["max_skeleton_share"]
    assert all(text for each in small for text in answers_of(each))


def test_figures_are_sourced_and_are_those_of_the_law():
    content = parameters.load(contributions.FILE)
    assert content["years"] == [2023, 2024, 2025]
    assert all(set(each) == {"value", "unit", "source"} for each in content["figures"].values())
    assert content["figures"]["uniform_lifetime"]["value"] == DIVISORS
    assert min(DIVISORS) == content["figures"]["distribution_age"]["value"]


@pytest.mark.parametrize(
    ("account", "year", "age", "expected"),
    [
        ("plan", 2023, 49, 22_500),
        ("plan", 2023, 61, 30_000),
        ("plan", 2024, 50, 30_500),
        ("plan", 2025, 59, 31_000),
        ("plan", 2025, 60, 34_750),
        ("plan", 2025, 63, 34_750),
        ("plan", 2025, 64, 31_000),
        ("ira", 2023, 49, 6_500),
        ("ira", 2025, 62, 8_000),
    ],
)
def test_limits_by_age_and_year(account, year, age, expected):
    assert sum(contributions.limit(account, year, age)) == expected


@pytest.mark.parametrize(
    ("birth", "age", "expected"),
    [
        # Social Security Administration, effect of early or delayed retirement, in percent of the full benefit
        (1960, 62 * 12, 70.0),
        (1960, 64 * 12, 80.0),
        (1960, 66 * 12, 280 / 3),
        (1960, 67 * 12, 100.0),
        (1960, 70 * 12, 124.0),
        (1955, 62 * 12, 445 / 6),
        (1955, 66 * 12 + 2, 100.0),
        (1959, 66 * 12 + 10, 100.0),
        (1958, 70 * 12, 100 + 40 * 2 / 3),
    ],
)
def test_share_of_the_full_benefit_by_claiming_age(birth, age, expected):
    assert float(withdrawals.claimed_share(birth, age)[0]) == pytest.approx(expected)
