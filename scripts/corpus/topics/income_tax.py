"""Federal income tax of a year: deductions, the rate schedules, long-term gains and the child tax credit.

Figures: resources/parameters/federal_tax.yaml. Tax follows the rate schedules, not the tax tables, which round
incomes below 100,000 dollars to the middle of steps of 50 dollars.
"""

from itertools import pairwise

from scripts.corpus import parameters
from scripts.corpus.figures import Input, amounts, choices, dollars, percent, question, wholes

FILE = "federal_tax"
STATUSES = {"single": "single", "joint": "married filing jointly", "head": "head of household"}
STATUS = choices(STATUSES)
YEAR = Input(lambda rng, drawn: rng.choice(parameters.load(FILE)["years"]), str)


def figure(name, *keys):
    """A figure of tax law, in the unit that the file names; ``keys``: year, filing status, as far as it varies."""
    value = parameters.load(FILE)["figures"][name]["value"]
    for key in keys:
        value = value[key]
    return value


def rate(value):
    """A rate of law in percent with the decimals that it has: "0.9 %", "92.35 %"."""
    return f"{value:g} %"


def bracket(year, status, income):
    """The number of the bracket, 0 the lowest, in which the last dollar of taxable income lies."""
    return sum(income > end for end in figure("brackets", year, status))


def tax_of(year, status, income):
    """Tax in dollars by the rate schedule of 26 U.S.C. 1 on ordinary taxable income in dollars."""
    ends = [0, *figure("brackets", year, status), float("inf")]
    return sum(
        max(min(income, high) - low, 0) * each / 100
        for (low, high), each in zip(pairwise(ends), figure("rates"), strict=True)
    )


def said_tax(year, status, income):
    """The texts of a tax by schedule: ``base`` on the ``floor`` of the bracket, ``rate`` of the ``excess``, ``tax``."""
    place = bracket(year, status, income)
    floor = [0, *figure("brackets", year, status)][place]
    return {
        "base": dollars(tax_of(year, status, floor)),
        "floor": dollars(floor),
        "rate": percent(figure("rates")[place]),
        "excess": dollars(income - floor),
        "tax": dollars(tax_of(year, status, income)),
    }


def gains_parts(year, status, ordinary, gains):
    """Long-term gains in dollars that are taxed at 0, 15 and 20 %: they lie on top of ordinary taxable income."""
    ends = (0, *figure("gains_thresholds", year, status), float("inf"))
    return [max(min(ordinary + gains, high) - max(ordinary, low), 0) for low, high in pairwise(ends)]


def gains_tax(parts):
    """Tax in dollars on :func:`gains_parts`."""
    return sum(part * each / 100 for part, each in zip(parts, figure("gains_rates"), strict=True))


def _taxable_income(year, status, income):
    deduction = figure("standard_deduction", year, status)
    value = income - deduction
    return value, "USD", {"taxable": {"deduction": dollars(deduction), "value": dollars(value)}}


def _marginal_rate(year, status, income):
    place = bracket(year, status, income)
    floor, end = figure("brackets", year, status)[place - 1 : place + 1]
    value = figure("rates")[place]
    return value, "%", {"bracket": {"floor": dollars(floor), "end": dollars(end), "value": percent(value)}}


def _average_rate(year, status, income):
    value = tax_of(year, status, income) / income * 100
    said = said_tax(year, status, income) | {"value": percent(value)}
    return value, "%", {"schedule": said, "share": said}


def _bracket_tax(year, status, income):
    ends = [0, *figure("brackets", year, status)[:2], income]
    rates, parts = figure("rates")[:3], [high - low for low, high in pairwise(ends)]
    taxes = [part * each / 100 for part, each in zip(parts, rates, strict=True)]
    said = {"value": dollars(sum(taxes)), "first_end": dollars(ends[1]), "second_end": dollars(ends[2])}
    for name, part, each, tax in zip(("first", "second", "third"), parts, rates, taxes, strict=True):
        said |= {name: dollars(part), f"{name}_rate": rate(each), f"{name}_tax": dollars(tax)}
    return sum(taxes), "USD", dict.fromkeys(("first", "second", "third", "total"), said)


def _bonus_tax(year, status, income, bonus):
    place = bracket(year, status, income)
    end = figure("brackets", year, status)[place]
    lower, upper = figure("rates")[place : place + 2]
    room, rest = end - income, income + bonus - end
    taxes = room * lower / 100, rest * upper / 100
    said = {"end": dollars(end), "room": dollars(room), "rest": dollars(rest), "value": dollars(sum(taxes))}
    said |= {"lower": percent(lower), "upper": percent(upper), "below": dollars(taxes[0]), "above": dollars(taxes[1])}
    return sum(taxes), "USD", dict.fromkeys(("below", "above", "total"), said)


def _deduction_choice(year, status, income, interest, local, gifts):
    limit, standard = figure("salt_limit", year), figure("standard_deduction", year, status)
    allowed = min(local, limit)
    total = interest + allowed + gifts
    value = "yes" if total > standard else "no"
    said = {"limit": dollars(limit), "allowed": dollars(allowed), "total": dollars(total), "value": value}
    said |= {"standard": dollars(standard), "relation": "more" if total > standard else "less"}
    return value, "choice", dict.fromkeys(("limit", "total", "choice"), said | {"gap": dollars(abs(total - standard))})


def _far_from_standard(year, status, income, interest, local, gifts):
    total = interest + min(local, figure("salt_limit", year)) + gifts
    return 300 < abs(total - figure("standard_deduction", year, status)) < 15_000 and local < 0.13 * income


def _gains_tax(year, status, ordinary, gains):
    parts, (zero, fifteen) = gains_parts(year, status, ordinary, gains), figure("gains_thresholds", year, status)
    value = gains_tax(parts)
    said = {"zero_end": dollars(zero), "fifteen_end": dollars(fifteen), "value": dollars(value)}
    for name, part, each in zip(("zero", "fifteen", "twenty"), parts, figure("gains_rates"), strict=True):
        said |= {name: dollars(part), f"{name}_tax": dollars(part * each / 100)}
    return value, "USD", dict.fromkeys(("zero", "fifteen", "twenty", "total"), said)


def _several_gains_rates(year, status, ordinary, gains):
    parts = gains_parts(year, status, ordinary, gains)
    return parts[1] > 0 and (parts[0] > 0 or parts[2] > 0)


def _child_credit(year, status, income, children):
    full, excess = children * figure("child_credit", year), income - figure("child_credit_threshold", status)
    units = -(-excess // 1_000)
    lost = units * figure("child_credit_reduction")
    said = {"full": dollars(full), "excess": dollars(excess), "units": units, "lost": dollars(lost)}
    said |= {"each": dollars(figure("child_credit", year)), "threshold": dollars(income - excess)}
    return full - lost, "USD", dict.fromkeys(("reduction", "credit"), said | {"value": dollars(full - lost)})


def _refund(year, status, children, wages, withheld):
    deduction, credit = figure("standard_deduction", year, status), children * figure("child_credit", year)
    taxable = wages - deduction
    due = tax_of(year, status, taxable) - credit
    said = said_tax(year, status, taxable) | {"deduction": dollars(deduction), "taxable": dollars(taxable)}
    said |= {"each": dollars(figure("child_credit", year)), "credit": dollars(credit), "due": dollars(due)}
    said |= {"value": dollars(withheld - due)}
    return withheld - due, "USD", dict.fromkeys(("taxable", "schedule", "credit", "due", "refund"), said)


def _withheld(rng, drawn):
    taxable = drawn["wages"] - figure("standard_deduction", drawn["year"], drawn["status"])
    credit = drawn["children"] * figure("child_credit", drawn["year"])
    return max(round(tax_of(drawn["year"], drawn["status"], taxable) - credit), 0) + rng.randint(150, 5_000)


def _refundable(year, status, children, wages, withheld):
    taxable = wages - figure("standard_deduction", year, status)
    tax, credit = tax_of(year, status, taxable), children * figure("child_credit", year)
    return bracket(year, status, taxable) > 0 and tax > credit + 500


def _crosses_one(year, status, income, bonus):
    return bracket(year, status, income + bonus) == bracket(year, status, income) + 1


QUESTIONS = (
    question(
        "taxable_income",
        1,
        _taxable_income,
        None,
        (FILE,),
        year=YEAR,
        status=STATUS,
        income=amounts(35_000, 240_000, 10),
    ),
    question(
        "marginal_rate",
        1,
        _marginal_rate,
        lambda year, status, income: 0 < bracket(year, status, income) < 6,
        (FILE,),
        year=YEAR,
        status=STATUS,
        income=amounts(15_000, 300_000, 50),
    ),
    question(
        "average_rate",
        2,
        _average_rate,
        lambda year, status, income: bracket(year, status, income) > 0,
        (FILE,),
        year=YEAR,
        status=STATUS,
        income=amounts(25_000, 420_000, 50),
    ),
    question(
        "child_credit",
        2,
        _child_credit,
        lambda year, status, income, children: (
            income > figure("child_credit_threshold", status) and _child_credit(year, status, income, children)[0] > 0
        ),
        (FILE,),
        year=YEAR,
        status=choices({key: STATUSES[key] for key in ("joint", "head")}),
        income=amounts(200_500, 490_000, 10),
        children=wholes(2, 4),
    ),
    question(
        "bracket_tax",
        4,
        _bracket_tax,
        lambda year, status, income: bracket(year, status, income) == 2,
        (FILE,),
        year=YEAR,
        status=STATUS,
        income=amounts(45_000, 206_000, 10),
    ),
    question(
        "bonus_tax",
        3,
        _bonus_tax,
        _crosses_one,
        (FILE,),
        year=YEAR,
        status=STATUS,
        income=amounts(30_000, 400_000, 50),
        bonus=amounts(4_000, 40_000, 100),
    ),
    question(
        "deduction_choice",
        3,
        _deduction_choice,
        _far_from_standard,
        (FILE,),
        year=YEAR,
        status=STATUS,
        income=amounts(70_000, 320_000, 500),
        interest=amounts(2_000, 22_000, 10),
        local=amounts(3_000, 30_000, 10),
        gifts=amounts(200, 9_000, 10),
    ),
    question(
        "gains_tax",
        4,
        _gains_tax,
        _several_gains_rates,
        (FILE,),
        year=YEAR,
        status=STATUS,
        ordinary=amounts(15_000, 590_000, 50),
        gains=amounts(10_000, 250_000, 50),
    ),
    question(
        "refund",
        5,
        _refund,
        _refundable,
        (FILE,),
        year=YEAR,
        status=choices({key: STATUSES[key] for key in ("joint", "head")}),
        children=wholes(2, 4),
        wages=amounts(60_000, 195_000, 10),
        withheld=Input(_withheld, dollars),
    ),
)
