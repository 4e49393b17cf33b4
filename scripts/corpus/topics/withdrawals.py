"""Living from savings and benefits: withdrawals, required distributions, pensions, and when to claim Social Security.

Tables and factors are those of resources/parameters/retirement_limits.yaml; rates are numbers of percent a year,
ages of Social Security are counted in months. Money that is added or subtracted on the way is kept to the cent.
"""

import math
from fractions import Fraction

from scripts.corpus import parameters
from scripts.corpus.figures import Input, amounts, choices, dollars, percent, plain, question, rates, wholes
from scripts.corpus.topics.contributions import FILE, YEAR, figure

# the first full month at 62 and the last month that earns a credit
EARLIEST, LATEST = 62 * 12 + 1, 70 * 12
BIRTHS = wholes(1955, 1963)


def years_and_months(months):
    """An age in months in words: "66 years and 2 months", "67 years"."""
    years, rest = divmod(months, 12)
    return f"{years} years" + (f" and {rest} month{'s' if rest > 1 else ''}" if rest else "")


def full_age(birth):
    """The full retirement age of who was born in a year, in months."""
    table = figure("full_retirement_age")
    years, months = table[max(each for each in table if each <= birth)]
    return 12 * years + months


def claimed_share(birth, age):
    """``(share, said)``: what part of the primary insurance amount is paid to who claims at ``age`` months, exactly.

    ``share``: a Fraction of percent. Law: 20 CFR 404.410(a) and 404.313.
    """
    reduction, credit = figure("early_reduction"), Fraction(figure("delayed_credit"))
    early, late = max(full_age(birth) - age, 0), max(age - full_age(birth), 0)
    first = min(early, reduction["months"])
    less = first * Fraction(reduction["first"]) + (early - first) * Fraction(reduction["beyond"])
    share = 100 - less + late * credit
    said = {"first": first, "beyond": early - first, "months": early + late, "share": percent(float(share))}
    said |= {"change": percent(float(less + late * credit)), "credit": figure("delayed_credit")}
    return share, said | {"first_rate": reduction["first"], "beyond_rate": reduction["beyond"]}


def _first_withdrawal(pot, rate):
    return pot * rate / 100 / 12, "USD", ("withdraw",), {"yearly": dollars(pot * rate / 100)}


def _required_distribution(year, age, balance):
    divisor = figure("uniform_lifetime")[age]
    return balance / divisor, "USD", ("divide",), {"divisor": divisor}


def _pension_lump_sum(pension, years, rate):
    factor = (1 - (1 + rate / 100) ** -years) / (rate / 100)
    return pension * factor, "USD", ("factor", "discount"), {"factor": plain(factor, 6)}


def _pot_life(pot, withdrawal, rate):
    interest = pot * rate / 100
    left = 1 - interest / withdrawal
    said = {"interest": dollars(interest), "left": plain(left, 6)}
    return -math.log(left) / math.log(1 + rate / 100), "", ("interest", "left", "life"), said


def _claiming_benefit(birth, age, amount):
    full = full_age(birth)
    share, said = claimed_share(birth, age)
    said |= {"full": years_and_months(full)}
    steps = ("full", "early", "reduction", "reduced") if age < full else ("full", "late", "increase", "increased")
    return float(amount * share / 100), "USD", steps, said


def _two_distributions(year, age, balance, growth):
    table = figure("uniform_lifetime")
    first = round(balance / table[age], 2)
    left = balance - first
    grown = left * (1 + growth / 100)
    second = round(grown / table[age + 1], 2)
    said = {"first": dollars(first), "left": dollars(left), "grown": dollars(grown), "second": dollars(second)}
    said |= {"divisor": table[age], "next_divisor": table[age + 1], "next_year": year + 1, "next_age": age + 1}
    return first + second, "USD", ("first", "left", "grown", "second", "total"), said


def _break_even_age(birth, amount, early, late):
    shares = [claimed_share(birth, 12 * each)[0] for each in (early, late)]
    low, high = (round(amount * share / 100, 2) for share in shares)
    head = low * 12 * (late - early)
    months = head / (high - low)
    said = {"full": years_and_months(full_age(birth)), "months": plain(float(months)), "wait": 12 * (late - early)}
    said |= {"low": dollars(float(low)), "high": dollars(float(high)), "more": dollars(float(high - low))}
    said |= {"low_share": percent(float(shares[0])), "high_share": percent(float(shares[1]))}
    said |= {"head": dollars(float(head))}
    return float(late + months / 12), "", ("full", "low", "high", "head", "months", "age"), said


QUESTIONS = (
    question("first_withdrawal", 1, _first_withdrawal, pot=amounts(90_000, 3_000_000, 500), rate=rates(2.5, 6)),
    question(
        "required_distribution",
        1,
        _required_distribution,
        parameters=(FILE,),
        year=YEAR,
        age=wholes(figure("distribution_age"), 100),
        balance=amounts(20_000, 2_400_000, 100),
    ),
    question(
        "pension_lump_sum",
        2,
        _pension_lump_sum,
        pension=amounts(6_000, 96_000, 60),
        years=wholes(8, 34),
        rate=rates(2, 7.5),
    ),
    question(
        "pot_life",
        3,
        _pot_life,
        lambda pot, withdrawal, rate: pot * rate / 100 < 0.9 * withdrawal and 4 < pot / withdrawal < 30,
        pot=amounts(100_000, 2_000_000, 1_000),
        withdrawal=amounts(8_000, 160_000, 100),
        rate=rates(1, 7),
    ),
    question(
        "claiming_benefit",
        4,
        _claiming_benefit,
        lambda birth, age, amount: abs(age - full_age(birth)) > 1,
        parameters=(FILE,),
        birth=Input(BIRTHS.draw, str),
        age=Input(lambda rng, drawn: rng.randint(EARLIEST, LATEST), years_and_months),
        amount=amounts(900, 3_900, 1),
    ),
    question(
        "two_distributions",
        5,
        _two_distributions,
        parameters=(FILE,),
        # the next year, that of the second distribution, is one of the file as well
        year=Input(lambda rng, drawn: rng.choice(parameters.load(FILE)["years"][:-1]), str),
        age=wholes(figure("distribution_age"), 99),
        balance=amounts(60_000, 2_400_000, 100),
        growth=rates(1, 9),
    ),
    question(
        "break_even_age",
        6,
        _break_even_age,
        parameters=(FILE,),
        birth=Input(BIRTHS.draw, str),
        amount=amounts(900, 3_900, 1),
        early=choices((63, 64, 65, 66)),
        late=choices((67, 68, 69, 70)),
    ),
)
