"""Saving for retirement: what may be contributed, what an employer adds, what has to be saved, and what it becomes.

Limits are those of resources/parameters/retirement_limits.yaml; rates are numbers of percent a year, times are years.
"""

from scripts.corpus import parameters
from scripts.corpus.figures import Input, amounts, choices, dollars, percent, plain, question, rates, wholes

FILE = "retirement_limits"
# an input of every question on a limit: the year whose limit it asks for
YEAR = Input(lambda rng, drawn: rng.choice(parameters.load(FILE)["years"]), str)
ACCOUNTS = {"plan": "401(k)", "ira": "IRA"}


def figure(name):
    """The figure of a law, in the unit that the file names."""
    return parameters.load(FILE)["figures"][name]["value"]


def limit(account, year, age):
    """``(regular, catch_up)``: what an employee may put into a 401(k) plan, or a person into IRAs, in dollars a year.

    ``age``: the one reached by the end of the year.
    """
    plan = account == "plan"
    regular, extra = ("elective_deferral", "elective_catch_up") if plan else ("ira", "ira_catch_up")
    if age < figure("catch_up_age"):
        return figure(regular)[year], 0
    high = figure("elective_catch_up_high")
    if plan and year in high and age in figure("elective_catch_up_high_ages"):
        return figure(regular)[year], high[year]
    return figure(regular)[year], figure(extra)[year]


def annuity(rate, periods):
    """The value, after the last one, of payments of 1 at the end of each period; ``rate``: percent a period."""
    growth = rate / 100
    return ((1 + growth) ** periods - 1) / growth


def _annuity_saving(deposit, rate, years):
    factor = annuity(rate, years)
    return deposit * factor, "USD", ("accumulate",), {"factor": plain(factor, 6)}


def _inflated_need(need, inflation, years):
    return need * (1 + inflation / 100) ** years, "USD", ("inflate",), {}


def _contribution_room(account, year, age, paid):
    regular, extra = limit(account, year, age)
    said = {"regular": dollars(regular), "extra": dollars(extra), "limit": dollars(regular + extra)}
    return regular + extra - paid, "USD", ("catch_up" if extra else "regular", "room"), said


def _employer_match(salary, own, match, cap):
    counted = min(own, cap)
    base = salary * counted / 100
    said = {"counted": percent(counted), "base": dollars(base)}
    return base * match / 100, "USD", ("counted", "match"), said


def _monthly_saving(goal, rate, years):
    months, monthly = 12 * years, rate / 12
    factor = annuity(monthly, months)
    return goal / factor, "USD", ("factor", "payment"), {"months": months, "factor": plain(factor, 6)}


def _roth_or_traditional(pay, now, later, rate, years):
    growth = (1 + rate / 100) ** years
    invested, pretax = pay * (1 - now / 100), pay * growth
    # to the cent, as they are subtracted from each other as written
    roth, traditional = round(invested * growth, 2), round(pretax * (1 - later / 100), 2)
    said = {"growth": plain(growth, 6), "invested": dollars(invested), "pretax": dollars(pretax)}
    said |= {"roth": dollars(roth), "traditional": dollars(traditional)}
    return roth - traditional, "USD", ("growth", "roth", "traditional", "gap"), said


def _retirement_gap(need, benefit, inflation, years, withdrawal, savings, rate):
    today = need - benefit
    future = today * (1 + inflation / 100) ** years
    pot = round(future / (withdrawal / 100), 2)
    grown, factor = round(savings * (1 + rate / 100) ** years, 2), annuity(rate, years)
    missing = pot - grown
    said = {"today": today, "future": future, "pot": pot, "grown": grown, "missing": missing}
    said = {name: dollars(each) for name, each in said.items()} | {"factor": plain(factor, 6)}
    return missing / factor, "USD", ("today", "future", "pot", "grown", "missing", "payment"), said


QUESTIONS = (
    question(
        "annuity_saving",
        1,
        _annuity_saving,
        deposit=amounts(500, 23_000, 50),
        rate=rates(2, 9),
        years=wholes(5, 40),
    ),
    question(
        "inflated_need",
        1,
        _inflated_need,
        need=amounts(18_000, 150_000, 100),
        inflation=rates(1.2, 4.8),
        years=wholes(4, 40),
    ),
    question(
        "contribution_room",
        2,
        _contribution_room,
        parameters=(FILE,),
        account=choices(ACCOUNTS),
        year=YEAR,
        age=wholes(23, 71),
        paid=Input(lambda rng, drawn: 10 * rng.randint(25, sum(limit(**drawn)) // 10 - 10), dollars),
    ),
    question(
        "employer_match",
        2,
        _employer_match,
        lambda salary, own, match, cap: own != cap,
        salary=amounts(32_000, 190_000, 50),
        own=rates(2, 11),
        match=choices({each: f"{each} %" for each in (25, 40, 50, 60, 75, 80)}),
        cap=choices({each: f"{each} %" for each in (3, 4, 5, 6, 7, 8)}),
    ),
    question(
        "monthly_saving",
        2,
        _monthly_saving,
        goal=amounts(100_000, 2_500_000, 1_000),
        rate=rates(2, 9),
        years=wholes(5, 40),
    ),
    question(
        "roth_or_traditional",
        4,
        _roth_or_traditional,
        lambda pay, now, later, rate, years: abs(now - later) >= 1,
        pay=amounts(2_000, 23_000, 50),
        now=rates(10, 40),
        later=rates(8, 40),
        rate=rates(3, 9),
        years=wholes(5, 38),
    ),
    question(
        "retirement_gap",
        6,
        _retirement_gap,
        lambda need, benefit, inflation, years, withdrawal, savings, rate: (
            (need - benefit) * (1 + inflation / 100) ** years / withdrawal * 80 > savings * (1 + rate / 100) ** years
            and need > benefit + 10_000
        ),
        need=amounts(40_000, 160_000, 100),
        benefit=amounts(12_000, 48_000, 50),
        inflation=rates(1.5, 3.9),
        years=wholes(8, 35),
        withdrawal=rates(3, 5),
        savings=amounts(10_000, 600_000, 500),
        rate=rates(4, 8),
    ),
)
