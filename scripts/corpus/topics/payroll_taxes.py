"""Social Security and Medicare taxes, the tax on net investment income, and all federal taxes of a household.

Figures: resources/parameters/federal_tax.yaml.
"""

from scripts.corpus.figures import amounts, dollars, question
from scripts.corpus.topics.income_tax import (
    FILE,
    STATUS,
    YEAR,
    bracket,
    figure,
    gains_parts,
    gains_tax,
    rate,
    said_tax,
    tax_of,
)


def _additional_medicare(year, status, wages):
    threshold, share = figure("additional_medicare_threshold", status), figure("additional_medicare_rate")
    value = (wages - threshold) * share / 100
    said = {"threshold": dollars(threshold), "rate": rate(share), "excess": dollars(wages - threshold)}
    return value, "USD", {"tax": said | {"value": dollars(value)}}


def _investment_tax(year, status, income, investment):
    threshold, share = figure("investment_threshold", status), figure("investment_rate")
    base = min(investment, income - threshold)
    said = {"threshold": dollars(threshold), "excess": dollars(income - threshold), "base": dollars(base)}
    said |= {"rate": rate(share), "value": dollars(base * share / 100)}
    return base * share / 100, "USD", {"base": said, "tax": said}


def _payroll_tax(year, wages):
    limit, rates = figure("wage_base", year), (figure("social_security_rate"), figure("medicare_rate"))
    base = min(wages, limit)
    social, medicare = base * rates[0] / 100, wages * rates[1] / 100
    said = {"limit": dollars(limit), "base": dollars(base), "social": dollars(social), "medicare": dollars(medicare)}
    said |= {"social_rate": rate(rates[0]), "medicare_rate": rate(rates[1]), "value": dollars(social + medicare)}
    return social + medicare, "USD", dict.fromkeys(("social", "medicare", "total"), said)


def _self_employment(year, profit):
    share, limit = figure("self_employment_share"), figure("wage_base", year)
    rates = figure("self_employment_social_security"), figure("self_employment_medicare")
    net = profit * share / 100
    base = min(net, limit)
    social, medicare = base * rates[0] / 100, net * rates[1] / 100
    tax = social + medicare
    value = tax * figure("self_employment_deduction") / 100
    said = {"share": rate(share), "net": dollars(net), "limit": dollars(limit), "base": dollars(base)}
    said |= {"social_rate": rate(rates[0]), "medicare_rate": rate(rates[1]), "social": dollars(social)}
    said |= {"medicare": dollars(medicare), "tax": dollars(tax), "value": dollars(value)}
    return value, "USD", dict.fromkeys(("net", "social", "medicare", "tax", "half"), said)


def _household_tax(year, status, wages, interest, gains):
    total, deduction = wages + interest + gains, figure("standard_deduction", year, status)
    ordinary = wages + interest - deduction
    parts = gains_parts(year, status, ordinary, gains)
    excess = max(total - figure("investment_threshold", status), 0)
    base = min(interest + gains, excess)
    over = max(wages - figure("additional_medicare_threshold", status), 0)
    rates = figure("investment_rate"), figure("additional_medicare_rate")
    taxes = tax_of(year, status, ordinary), gains_tax(parts), base * rates[0] / 100, over * rates[1] / 100
    said = said_tax(year, status, ordinary) | {"deduction": dollars(deduction), "ordinary": dollars(ordinary)}
    said["excess_ordinary"] = said.pop("excess")
    said |= dict(zip(("zero", "fifteen", "twenty"), map(dollars, parts), strict=True))
    said |= {"total": dollars(total), "excess": dollars(excess), "over": dollars(over)}
    said |= {"base_investment": dollars(base)}
    said |= {"investment_threshold": dollars(figure("investment_threshold", status))}
    said |= {"medicare_threshold": dollars(figure("additional_medicare_threshold", status))}
    said |= {"investment_rate": rate(rates[0]), "medicare_rate": rate(rates[1])}
    said |= dict(zip(("tax", "on_gains", "on_investment", "on_wages"), map(dollars, taxes), strict=True))
    said |= {"value": dollars(sum(taxes))}
    names = ("taxable", "schedule", "gains", "investment", "medicare", "total")
    return sum(taxes), "USD", dict.fromkeys(names, said)


QUESTIONS = (
    question(
        "additional_medicare",
        1,
        _additional_medicare,
        lambda year, status, wages: wages > figure("additional_medicare_threshold", status),
        (FILE,),
        year=YEAR,
        status=STATUS,
        wages=amounts(205_000, 650_000, 50),
    ),
    question(
        "investment_tax",
        2,
        _investment_tax,
        lambda year, status, income, investment: (
            income > figure("investment_threshold", status) and investment < 0.6 * income
        ),
        (FILE,),
        year=YEAR,
        status=STATUS,
        income=amounts(202_000, 480_000, 50),
        investment=amounts(3_000, 160_000, 50),
    ),
    question("payroll_tax", 3, _payroll_tax, None, (FILE,), year=YEAR, wages=amounts(70_000, 200_000, 10)),
    question("self_employment", 5, _self_employment, None, (FILE,), year=YEAR, profit=amounts(40_000, 320_000, 10)),
    question(
        "household_tax",
        6,
        _household_tax,
        lambda year, status, wages, interest, gains: (
            bracket(year, status, wages + interest - figure("standard_deduction", year, status)) > 0
            and wages + interest + gains > figure("investment_threshold", status)
        ),
        (FILE,),
        year=YEAR,
        status=STATUS,
        wages=amounts(130_000, 520_000, 100),
        interest=amounts(1_000, 30_000, 50),
        gains=amounts(5_000, 150_000, 50),
    ),
)
