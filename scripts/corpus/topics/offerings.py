"""Offerings and ownership: who may buy, how much may be sold, what owners and insiders report.

Rules: the Securities Act of 1933 and the Securities Exchange Act of 1934 with the rules under them, and the Investment
Company Act of 1940, as resources/parameters/securities_rules.yaml has them.
"""

from scripts.corpus.figures import (
    Input,
    amounts,
    cents,
    choices,
    dollars,
    percent,
    prices,
    question,
    rates,
    several,
    whole,
    wholes,
)
from scripts.corpus.topics.rulebook import FILE, YEAR, decide, relation, rule


def _buyback_limit(year, volume):
    value = volume * rule("buyback_share") // 100
    return value, "shares", ("limit",), {"part": percent(rule("buyback_share"))}


def _ownership_report(year, held, outstanding):
    share, limit = held / outstanding * 100, rule("ownership_share")
    said = {"share": percent(share), "relation": relation(share, limit), "limit": percent(limit)}
    return decide(share > limit), "choice", ("share", "threshold"), said


def _tier_2_limit(year, income, worth):
    base = max(income, worth)
    value = base * rule("tier_2_share") / 100
    return value, "USD", ("base", "limit"), {"base": dollars(base), "part": percent(rule("tier_2_share"))}


def _accredited_income(year, household, incomes):
    least, limit = min(incomes), rule("accredited_income")[household]
    said = {"least": dollars(least), "limit": dollars(limit), "relation": relation(least, limit)}
    return decide(least > limit), "choice", ("least", "threshold"), said


def _sale_notice(year, shares, price):
    proceeds = shares * price
    most, line = rule("notice_shares"), rule("notice_proceeds")
    said = {"proceeds": dollars(proceeds), "most": whole(most), "line": dollars(line)}
    said |= {"many": "above" if shares > most else "not above", "dear": "above" if proceeds > line else "not above"}
    return decide(shares > most or proceeds > line), "choice", ("proceeds", "thresholds"), said


def _crowdfunding_limit(year, income, worth):
    low, base, line = min(income, worth), max(income, worth), rule("crowdfunding_limit")
    if low < line:
        share, least = rule("crowdfunding_low_share"), rule("crowdfunding_least")
        value, bounds = max(base * share / 100, least), f"at least {dollars(least)}"
    else:
        share = rule("crowdfunding_high_share")
        value, bounds = min(base * share / 100, line), f"at most {dollars(line)}"
    said = {"low": dollars(low), "line": dollars(line), "relation": "less than" if low < line else "at least"}
    said |= {"share": percent(share), "base": dollars(base), "part": dollars(base * share / 100), "bounds": bounds}
    return value, "USD", ("bracket", "base", "limit"), said


def _accredited_worth(year, investments, home, mortgage, debts):
    beyond = max(mortgage - home, 0)
    net, limit = investments - debts - beyond, rule("accredited_worth")
    said = {"beyond": dollars(beyond), "net": dollars(net), "relation": relation(net, limit), "limit": dollars(limit)}
    said["assets"] = dollars(investments - debts)
    return decide(net > limit), "choice", ("assets", "home", "net", "threshold"), said


def _fund_owners(year, persons, first_share, first_holders, second_share, second_holders):
    pairs = ((first_share, first_holders), (second_share, second_holders))
    first, second = (holders if share >= rule("look_through_share") else 1 for share, holders in pairs)
    total, limit = persons + first + second, rule("private_fund_owners")
    said = {"first": first, "second": second, "total": total, "relation": relation(total, limit), "limit": limit}
    said["part"] = percent(rule("look_through_share"))
    return decide(total <= limit), "choice", ("first", "second", "total", "threshold"), said


def _affiliate_limit(year, outstanding, volumes):
    limit, said = _volume(outstanding, volumes)
    return limit, "shares", ("share", "average", "greater"), said


def _affiliate_remainder(year, outstanding, volumes, sold, holding):
    limit, said = _volume(outstanding, volumes)
    available = limit - sold
    said["available"] = whole(available)
    steps = ("share", "average", "greater", "available", "rest")
    return holding - available, "shares", steps, said


def _volume(outstanding, volumes):
    """What an affiliate may sell in three months under Rule 144, and how it comes about."""
    share, average = outstanding * rule("affiliate_share") // 100, sum(volumes) // len(volumes)
    limit = max(share, average)
    said = {"share": whole(share), "average": whole(average), "limit": whole(limit)}
    return limit, said | {"part": percent(rule("affiliate_share"))}


def _short_swing_profit(year, bought, paid, sold, received):
    (cheap, low), (dear, high) = sorted(zip(paid, bought, strict=True))
    (best, most), (worse, least) = sorted(zip(received, sold, strict=True), reverse=True)
    rest = most - low
    last = min(high - rest, least)
    gains = low * (best - cheap), rest * (best - dear), last * max(worse - dear, 0)
    said = {"cheap": cents(cheap), "dear": cents(dear), "best": cents(best), "worse": cents(worse)}
    said |= {"low": whole(low), "rest": whole(rest), "last": whole(last)}
    said |= dict(zip(("gain", "second", "third"), map(dollars, gains), strict=True))
    said["margin"] = dollars(worse - dear)
    return sum(gains), "USD", ("order", "first", "second", "third", "total"), said


def _matchable(year, bought, paid, sold, received):
    """Whether the best sale takes all of the cheap purchase and a part of the dear one, at a gain."""
    (cheap, low), (dear, high) = sorted(zip(paid, bought, strict=True))
    (best, most), (worse, least) = sorted(zip(received, sold, strict=True), reverse=True)
    return cheap < dear < best and worse < best and low < most < low + high and worse != dear


QUESTIONS = (
    question("buyback_limit", 1, _buyback_limit, parameters=(FILE,), year=YEAR, volume=wholes(20_000, 4_000_000, 100)),
    question(
        "ownership_report",
        2,
        _ownership_report,
        lambda year, held, outstanding: 0.02 < held / outstanding < 0.09 and held * 20 != outstanding,
        parameters=(FILE,),
        year=YEAR,
        held=wholes(100_000, 5_000_000, 500),
        outstanding=wholes(4_000_000, 90_000_000, 10_000),
    ),
    question(
        "tier_2_limit",
        2,
        _tier_2_limit,
        lambda year, income, worth: income != worth,
        parameters=(FILE,),
        year=YEAR,
        income=amounts(30_000, 190_000, 100),
        worth=amounts(20_000, 700_000, 500),
    ),
    question(
        "accredited_income",
        2,
        _accredited_income,
        lambda year, household, incomes: 0.85 < min(incomes) / rule("accredited_income")[household] < 1.15,
        parameters=(FILE,),
        year=YEAR,
        household=choices({"alone": "alone", "joint": "jointly with a spouse"}),
        incomes=several(3, amounts(170_000, 400_000, 250)),
    ),
    question(
        "sale_notice",
        2,
        _sale_notice,
        lambda year, shares, price: 20_000 < shares * price < 75_000,
        parameters=(FILE,),
        year=YEAR,
        shares=wholes(500, 6_200, 50),
        price=prices(2, 60),
    ),
    question(
        "crowdfunding_limit",
        3,
        _crowdfunding_limit,
        parameters=(FILE,),
        year=YEAR,
        income=Input(lambda rng, drawn: 100 * rng.randint(180, rng.choice((600, 3_200))), dollars),
        worth=Input(lambda rng, drawn: 500 * rng.randint(6, rng.choice((120, 600, 2_600))), dollars),
    ),
    question(
        "accredited_worth",
        4,
        _accredited_worth,
        lambda year, investments, home, mortgage, debts: 0.4 < mortgage / home < 1.25,
        parameters=(FILE,),
        year=YEAR,
        investments=amounts(850_000, 1_350_000, 500),
        home=amounts(300_000, 1_500_000, 5_000),
        mortgage=amounts(200_000, 1_500_000, 1_000),
        debts=amounts(2_000, 190_000, 250),
    ),
    question(
        "fund_owners",
        4,
        _fund_owners,
        lambda year, persons, first_share, first_holders, second_share, second_holders: (
            70 < persons + min(first_holders, second_holders) < 115
        ),
        parameters=(FILE,),
        year=YEAR,
        persons=wholes(52, 98),
        first_share=rates(3, 18),
        first_holders=wholes(4, 38),
        second_share=rates(3, 18),
        second_holders=wholes(4, 38),
    ),
    question(
        "affiliate_limit",
        3,
        _affiliate_limit,
        parameters=(FILE,),
        year=YEAR,
        outstanding=wholes(8_000_000, 90_000_000, 10_000),
        volumes=several(4, wholes(60_000, 900_000, 400)),
    ),
    question(
        "affiliate_remainder",
        5,
        _affiliate_remainder,
        lambda year, outstanding, volumes, sold, holding: 1_000 < _volume(outstanding, volumes)[0] - sold < holding,
        parameters=(FILE,),
        year=YEAR,
        outstanding=wholes(8_000_000, 90_000_000, 10_000),
        volumes=several(4, wholes(60_000, 900_000, 400)),
        sold=wholes(10_000, 400_000, 500),
        holding=wholes(300_000, 3_000_000, 1_000),
    ),
    question(
        "short_swing_profit",
        5,
        _short_swing_profit,
        _matchable,
        parameters=(FILE,),
        year=YEAR,
        bought=several(2, wholes(200, 6_000, 100)),
        paid=several(2, prices(10, 60)),
        sold=several(2, wholes(200, 6_000, 100)),
        received=several(2, prices(12, 75)),
    ),
)
