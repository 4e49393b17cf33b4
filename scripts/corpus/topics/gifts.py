"""Gifts in life: exclusions, split gifts, section 529 accounts, tentative tax, transfers that skip a generation.

Amounts are dollars. Figures: resources/parameters/estate_tax.yaml, by the year of the gift.
"""

from scripts.corpus import parameters
from scripts.corpus.figures import amounts, choices, dollars, percent, question, several, wholes

FILE = "estate_tax"
YEAR = choices((2023, 2024, 2025))


def law(name, year):
    """A figure of the law in a year, in the unit that the file names."""
    return parameters.load(FILE)["figures"][name]["value"][year]


def bracket(amount):
    """The bracket of the tentative tax that an amount falls in: ``{"over", "tax", "rate"}``, section 2001(c)."""
    return [each for each in parameters.load(FILE)["table"]["brackets"] if each["over"] < amount][-1]


def tentative(amount):
    """The tentative tax on an amount above zero."""
    found = bracket(amount)
    return found["tax"] + (amount - found["over"]) * found["rate"] / 100


def _taxable_gifts(year, donees, gift):
    exclusion = law("annual_exclusion", year)
    value = donees * (gift - exclusion)
    said = {"exclusion": dollars(exclusion), "each": dollars(gift - exclusion), "value": dollars(value)}
    return value, "USD", {"taxable": said}


def _noncitizen_spouse(year, gifts):
    exclusion, total = law("noncitizen_spouse", year), sum(gifts)
    said = {"exclusion": dollars(exclusion), "total": dollars(total), "value": dollars(total - exclusion)}
    return total - exclusion, "USD", {"taxable": said}


def _exclusion_left(year, gifts):
    exclusion, used = law("basic_exclusion", year), sum(gifts)
    said = {"exclusion": dollars(exclusion), "used": dollars(used), "value": dollars(exclusion - used)}
    return exclusion - used, "USD", {"left": said}


def _gift_splitting(year, donees, gift):
    exclusion, half = law("annual_exclusion", year), gift / 2
    value = donees * (half - exclusion)
    said = {"exclusion": dollars(exclusion), "half": dollars(half)}
    said |= {"each": dollars(half - exclusion), "value": dollars(value)}
    return value, "USD", {"half": said, "taxable": said}


def _five_year_election(year, beneficiaries, contribution):
    exclusion, years = law("annual_exclusion", year), law("election_years", year)
    limit = years * exclusion
    value = beneficiaries * (contribution - limit)
    said = {"exclusion": dollars(exclusion), "years": str(years), "limit": dollars(limit)}
    said |= {"each": dollars(contribution - limit), "value": dollars(value)}
    return value, "USD", {"limit": said, "excess": said}


def _skip_tax(year, skip, used):
    exemption, rate = law("gst_exemption", year), law("top_rate", year)
    left = exemption - used
    # 26 CFR 26.2642-1(a): the applicable fraction is rounded to the nearest thousandth
    fraction = round(left / skip, 3)
    ratio = round(1 - fraction, 3)
    value = skip * ratio * rate / 100
    said = {"exemption": dollars(exemption), "left": dollars(left), "fraction": f"{fraction:.3f}"}
    said |= {"ratio": f"{ratio:.3f}", "rate": percent(rate), "value": dollars(value)}
    return value, "USD", {"left": said, "fraction": said, "ratio": said, "tax": said}


def _credit_used(year, donees, gift, prior):
    exclusion = law("annual_exclusion", year)
    taxable = donees * (gift - exclusion)
    total = prior + taxable
    after, before = tentative(total), tentative(prior)
    said = {"exclusion": dollars(exclusion), "taxable": dollars(taxable), "total": dollars(total)}
    for key, amount, tax in (("after", total, after), ("before", prior, before)):
        found = bracket(amount)
        said |= {key: dollars(tax), f"{key}_over": dollars(found["over"]), f"{key}_tax": dollars(found["tax"])}
        said |= {f"{key}_rate": percent(found["rate"])}
    said |= {"value": dollars(after - before)}
    return after - before, "USD", dict.fromkeys(("taxable", "total", "after", "before", "credit"), said)


QUESTIONS = (
    question(
        "taxable_gifts",
        1,
        _taxable_gifts,
        parameters=(FILE,),
        year=YEAR,
        donees=wholes(2, 9),
        gift=amounts(20_000, 120_000),
    ),
    question(
        "noncitizen_spouse",
        1,
        _noncitizen_spouse,
        lambda year, gifts: sum(gifts) > law("noncitizen_spouse", year),
        parameters=(FILE,),
        year=YEAR,
        gifts=several(2, amounts(60_000, 400_000)),
    ),
    question(
        "exclusion_left",
        1,
        _exclusion_left,
        parameters=(FILE,),
        year=YEAR,
        gifts=several(3, amounts(50_000, 4_000_000, 10)),
    ),
    question(
        "gift_splitting",
        2,
        _gift_splitting,
        parameters=(FILE,),
        year=YEAR,
        donees=wholes(2, 9),
        gift=amounts(40_000, 200_000, 2),
    ),
    question(
        "five_year_election",
        2,
        _five_year_election,
        parameters=(FILE,),
        year=YEAR,
        beneficiaries=wholes(2, 7),
        contribution=amounts(97_000, 260_000),
    ),
    question(
        "skip_tax",
        4,
        _skip_tax,
        lambda year, skip, used: 0.05 < (law("gst_exemption", year) - used) / skip < 0.95,
        parameters=(FILE,),
        year=YEAR,
        skip=amounts(500_000, 12_000_000, 10),
        used=amounts(3_000_000, 12_500_000, 10),
    ),
    question(
        "credit_used",
        5,
        _credit_used,
        parameters=(FILE,),
        year=YEAR,
        donees=wholes(2, 5),
        gift=amounts(22_000, 130_000),
        prior=amounts(12_000, 650_000),
    ),
)
