"""Estates: the federal estate tax and what lowers it, the cash that an estate needs, and the shares of heirs.

Amounts are dollars. Figures: resources/parameters/estate_tax.yaml, by the year of death. Above 1,000,000 USD the
tentative tax less the credit of section 2010 is the top rate on what exceeds the exclusion.
"""

from scripts.corpus.figures import Input, amounts, choices, dollars, percent, plain, prices, question, wholes
from scripts.corpus.topics.gifts import FILE, YEAR, law


def estate_tax(base, exclusion, rate):
    """The federal estate tax on a base (taxable estate and taxable gifts) above an exclusion, ``rate`` in percent."""
    return max(base - exclusion, 0) * rate / 100


def _step_up(year, shares, cost, price, rate):
    gain = shares * (price - cost)
    value = gain * rate / 100
    return value, "USD", {"saved": {"each": dollars(price - cost), "gain": dollars(gain), "value": dollars(value)}}


def _estate_tax(year, estate, gifts):
    exclusion, rate = law("basic_exclusion", year), law("top_rate", year)
    base = estate + gifts
    value = estate_tax(base, exclusion, rate)
    said = {"exclusion": dollars(exclusion), "rate": percent(rate), "base": dollars(base)}
    said |= {"excess": dollars(base - exclusion), "value": dollars(value)}
    return value, "USD", {"base": said, "tax": said}


def _annuity_trust(year, fund, annuity, rate, term):
    factor = (1 - (1 + rate / 100) ** -term) / (rate / 100)
    present = annuity * factor
    said = {"factor": plain(factor, 6), "present": dollars(present), "value": dollars(fund - present)}
    return fund - present, "USD", {"factor": said, "present": said, "gift": said}


def _portability(first, year, estate, survivor):
    before, basic, rate = law("basic_exclusion", first), law("basic_exclusion", year), law("top_rate", year)
    # 26 U.S.C. 2010(c)(4): never more than the basic exclusion of the survivor's year
    unused = min(before - estate, basic)
    exclusion = basic + unused
    value = estate_tax(survivor, exclusion, rate)
    said = {"before": dollars(before), "unused": dollars(unused), "basic": dollars(basic), "rate": percent(rate)}
    said |= {"exclusion": dollars(exclusion), "excess": dollars(survivor - exclusion), "value": dollars(value)}
    return value, "USD", dict.fromkeys(("unused", "exclusion", "excess", "tax"), said)


def _shares_of_heirs(year, estate, children, more, fewer):
    branch = estate / children
    stirpes, pooled = branch / more, 2 * branch
    capita = pooled / (more + fewer)
    said = {"branch": dollars(branch), "stirpes": dollars(stirpes), "pooled": dollars(pooled)}
    said |= {"living": str(children - 2), "heirs": str(more + fewer), "capita": dollars(capita)}
    said |= {"value": dollars(capita - stirpes)}
    return capita - stirpes, "USD", dict.fromkeys(("branch", "stirpes", "capita", "gap"), said)


def _insurance_trust(year, estate, costs, policy):
    exclusion, rate = law("basic_exclusion", year), law("top_rate", year)
    without = estate - costs
    taxes = [estate_tax(base, exclusion, rate) for base in (without + policy, without)]
    value = taxes[0] - taxes[1]
    said = {"exclusion": dollars(exclusion), "rate": percent(rate), "owned": dollars(without + policy)}
    said |= {"held": dollars(without), "tax_owned": dollars(taxes[0]), "tax_held": dollars(taxes[1])}
    said |= {"value": dollars(value)}
    return value, "USD", dict.fromkeys(("owned", "tax_owned", "held", "tax_held", "saved"), said)


def _cash_needed(year, gross, debts, costs, spouse, charity, liquid):
    exclusion, rate = law("basic_exclusion", year), law("top_rate", year)
    taxable = gross - debts - costs - spouse - charity
    tax = estate_tax(taxable, exclusion, rate)
    need = debts + costs + tax
    said = {"exclusion": dollars(exclusion), "rate": percent(rate), "taxable": dollars(taxable)}
    said |= {"excess": dollars(taxable - exclusion), "tax": dollars(tax), "need": dollars(need)}
    said |= {"value": dollars(need - liquid)}
    return need - liquid, "USD", dict.fromkeys(("taxable", "excess", "tax", "need", "gap"), said)


QUESTIONS = (
    question(
        "step_up",
        1,
        _step_up,
        lambda year, shares, cost, price, rate: price > 1.2 * cost,
        year=YEAR,
        shares=wholes(200, 9_000),
        cost=prices(4, 60),
        price=prices(20, 320),
        rate=choices({15: "15 %", 18.8: "18.8 %", 20: "20 %", 23.8: "23.8 %"}),
    ),
    question(
        "estate_tax",
        2,
        _estate_tax,
        lambda year, estate, gifts: estate + gifts > law("basic_exclusion", year),
        parameters=(FILE,),
        year=YEAR,
        estate=amounts(10_000_000, 40_000_000, 10),
        gifts=amounts(200_000, 5_000_000, 10),
    ),
    question(
        "annuity_trust",
        3,
        _annuity_trust,
        lambda year, fund, annuity, rate, term: (
            0.03 < 1 - annuity / fund * (1 - (1 + rate / 100) ** -term) / rate * 100 < 0.6
        ),
        year=YEAR,
        fund=amounts(500_000, 9_000_000, 10),
        annuity=amounts(60_000, 2_500_000, 10),
        # rates of section 7520 are multiples of 0.2 percent
        rate=Input(lambda rng, drawn: rng.randint(18, 30) / 5, lambda value: f"{value:g} %"),
        term=wholes(2, 12),
    ),
    question(
        "portability",
        4,
        _portability,
        lambda first, year, estate, survivor: (
            first < year and survivor > law("basic_exclusion", first) - estate + law("basic_exclusion", year)
        ),
        parameters=(FILE,),
        first=YEAR,
        year=YEAR,
        estate=amounts(500_000, 12_500_000, 10),
        survivor=amounts(15_000_000, 45_000_000, 10),
    ),
    question(
        "shares_of_heirs",
        4,
        _shares_of_heirs,
        lambda year, estate, children, more, fewer: fewer < more,
        year=YEAR,
        estate=amounts(300_000, 9_000_000, 10),
        children=wholes(4, 7),
        more=wholes(3, 6),
        fewer=wholes(2, 5),
    ),
    question(
        "insurance_trust",
        5,
        _insurance_trust,
        lambda year, estate, costs, policy: estate - costs + policy > law("basic_exclusion", year) + 50_000,
        parameters=(FILE,),
        year=YEAR,
        estate=amounts(11_000_000, 30_000_000, 10),
        costs=amounts(100_000, 1_500_000, 10),
        policy=amounts(500_000, 8_000_000, 10),
    ),
    question(
        "cash_needed",
        5,
        _cash_needed,
        lambda year, gross, debts, costs, spouse, charity, liquid: (
            gross - debts - costs - spouse - charity > law("basic_exclusion", year)
            and _cash_needed(year, gross, debts, costs, spouse, charity, liquid)[0] > 50_000
        ),
        parameters=(FILE,),
        year=YEAR,
        gross=amounts(18_000_000, 60_000_000, 10),
        debts=amounts(100_000, 2_500_000, 10),
        costs=amounts(80_000, 900_000, 10),
        spouse=amounts(500_000, 12_000_000, 10),
        charity=amounts(100_000, 3_000_000, 10),
        liquid=amounts(300_000, 5_000_000, 10),
    ),
)
