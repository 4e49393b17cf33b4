"""Oversight of markets, firms and money: trading halts, capital, registration, reports and the protection of customers.

Rules: those of the SEC, FINRA, NYSE, FinCEN, SIPC and FDIC, as resources/parameters/securities_rules.yaml has them.
"""

import datetime

from scripts.corpus.figures import (
    Input,
    amounts,
    choices,
    dollars,
    near,
    numbers,
    percent,
    plain,
    prices,
    question,
    several,
    wholes,
)
from scripts.corpus.topics.rulebook import FILE, YEAR, decide, relation, rule

FIRMS = {"bank": "a bank", "broker": "a broker-dealer", "transmitter": "a money transmitter"}
QUARTER_ENDS = tuple(
    datetime.date(year, month, day).isoformat()
    for year in (2023, 2024, 2025)
    for month, day in ((3, 31), (6, 30), (9, 30), (12, 31))
)


def _circuit_breaker(year, level, close):
    fall = rule("circuit_breakers")[level]
    value = close * (1 - fall / 100)
    return value, "", ("trigger",), {"fall": f"{fall} %", "left": plain(1 - fall / 100, 2)}


def _short_sale_trigger(year, close):
    value = close * (1 - rule("short_sale_fall") / 100)
    return value, "USD", ("trigger",), {"fall": percent(rule("short_sale_fall"))}


def _net_capital(year, indebtedness):
    value = indebtedness / rule("indebtedness_multiple")
    return value, "USD", ("least",), {"times": rule("indebtedness_multiple")}


def _currency_report(year, deposits):
    total, limit = sum(deposits), rule("currency_report")
    said = {"total": dollars(total), "relation": relation(total, limit), "limit": dollars(limit)}
    return decide(total > limit), "choice", ("total", "threshold"), said


def _suspicious_activity(year, firm, transfers):
    total, limit = sum(transfers), rule("suspicious_activity")[firm]
    said = {"total": dollars(total), "limit": dollars(limit), "relation": relation(total, limit)}
    return decide(total >= limit), "choice", ("total", "threshold"), said


def _adviser_registration(year, accounts, fund, commitments):
    total, limit = round(accounts + fund + commitments, 1), rule("adviser_assets")
    said = {"total": _millions(total), "relation": relation(total, limit), "limit": _millions(limit)}
    return decide(total >= limit), "choice", ("total", "threshold"), said


def _manager_report(year, holdings):
    highest, limit = max(holdings), rule("manager_holdings")
    said = {"highest": _millions(highest), "relation": relation(highest, limit), "limit": _millions(limit)}
    return decide(highest >= limit), "choice", ("highest", "threshold"), said


def _days_late(year, quarter, filed):
    counted = _counted(quarter)
    due = _due(quarter)
    late = (datetime.date.fromisoformat(filed) - due).days
    moved = "which is a business day" if counted == due else f"not a business day, so the report is due on {_date(due)}"
    said = {"counted": _date(counted), "weekday": f"{counted:%A}", "moved": moved, "due": _date(due)}
    said["limit"] = rule("manager_report_days")
    return late, "days", ("count", "move", "late"), said


def _counted(quarter):
    """The day that is so many days after the end of a quarter as managers have."""
    return datetime.date.fromisoformat(quarter) + datetime.timedelta(rule("manager_report_days"))


def _due(quarter):
    """The day on which the report of a quarter is due: a business day (Exchange Act Rule 0-3(a))."""
    day = _counted(quarter)
    while day.weekday() >= 5 or _is_presidents_day(day):
        day += datetime.timedelta(1)
    return day


def _is_presidents_day(day):
    # of the federal holidays only this one can fall on a due date or on the Monday after it
    return day.month == 2 and day.weekday() == 0 and 15 <= day.day <= 21


def _sipc_shortfall(year, securities, cash):
    covered = min(cash, rule("sipc_cash"))
    claim = securities + covered
    paid = min(claim, rule("sipc_limit"))
    missing = securities + cash - paid
    said = {"covered": dollars(covered), "claim": dollars(claim), "paid": dollars(paid)}
    said |= {"whole": dollars(securities + cash), "limit": dollars(rule("sipc_limit"))}
    said["most"] = dollars(rule("sipc_cash"))
    return missing, "USD", ("cash", "claim", "cap", "missing"), said


def _deposit_insurance(year, checking, savings, joint):
    limit, single, share = rule("fdic_limit"), checking + savings, joint / 2
    excess, joint_excess = max(single - limit, 0), max(share - limit, 0)
    said = {"single": dollars(single), "excess": dollars(excess), "share": dollars(share)}
    said |= {"joint_excess": dollars(joint_excess), "limit": dollars(limit)}
    return excess + joint_excess, "USD", ("single", "excess", "joint", "total"), said


def _trust_insurance(year, single, joint, trust, beneficiaries):
    limit, share = rule("fdic_limit"), joint / 2
    counted = min(beneficiaries, rule("fdic_beneficiaries"))
    parts = max(single - limit, 0), max(share - limit, 0), max(trust - counted * limit, 0)
    said = {"share": dollars(share), "counted": counted, "cover": dollars(counted * limit), "limit": dollars(limit)}
    said |= dict(zip(("excess", "joint_excess", "trust_excess"), map(dollars, parts), strict=True))
    steps = ("single", "joint", "cover", "trust", "total")
    return sum(parts), "USD", steps, said


def _wash_sale_basis(year, sold, cost, price, days, bought, paid):
    loss = round(cost - price, 2)
    washed = days <= rule("wash_sale_days")
    carried = loss if washed else 0
    refused = bought * carried
    said = {"loss": dollars(loss), "whole": dollars(sold * loss), "refused": dollars(refused)}
    said |= {"allowed": dollars(sold * loss - refused), "window": rule("wash_sale_days")}
    said |= {"place": "within" if washed else "beyond", "carried": dollars(carried)}
    return paid + carried, "USD", ("loss", "refused", "allowed", "basis"), said


def _millions(value):
    return f"${value:,.1f} million"


def _date(day):
    return f"{day:%B} {day.day}, {day.year}"


def _written(iso):
    return _date(datetime.date.fromisoformat(iso))


def _late_day(rng, drawn):
    """A weekday after the report was due: no report is filed at weekends."""
    day = _counted(drawn["quarter"]) + datetime.timedelta(rng.randint(2, 400))
    return (day - datetime.timedelta(max(day.weekday() - 4, 0))).isoformat()


def _worth_asking(year, single, joint, trust, beneficiaries):
    return _trust_insurance(year, single, joint, trust, beneficiaries)[0] > 1_000


CAPITAL = Input(numbers(5, 70, 1).draw, _millions)

QUESTIONS = (
    question(
        "circuit_breaker",
        1,
        _circuit_breaker,
        parameters=(FILE,),
        year=YEAR,
        level=choices((1, 2, 3)),
        close=numbers(3_400, 7_400),
    ),
    question("short_sale_trigger", 1, _short_sale_trigger, parameters=(FILE,), year=YEAR, close=prices(12, 640)),
    question(
        "net_capital",
        1,
        _net_capital,
        parameters=(FILE,),
        year=YEAR,
        indebtedness=amounts(4_500_000, 90_000_000, 1_000),
    ),
    question(
        "currency_report",
        2,
        _currency_report,
        lambda year, deposits: 7_000 < sum(deposits) < 13_500,
        parameters=(FILE,),
        year=YEAR,
        deposits=several(3, amounts(900, 6_500, 10)),
    ),
    question(
        "suspicious_activity",
        2,
        _suspicious_activity,
        lambda year, firm, transfers: 0.6 < sum(transfers) / rule("suspicious_activity")[firm] < 1.5,
        parameters=(FILE,),
        year=YEAR,
        firm=choices(FIRMS),
        transfers=several(3, amounts(300, 2_900, 5)),
    ),
    question(
        "adviser_registration",
        2,
        _adviser_registration,
        lambda year, accounts, fund, commitments: 75 < accounts + fund + commitments < 145,
        parameters=(FILE,),
        year=YEAR,
        accounts=CAPITAL,
        fund=CAPITAL,
        commitments=CAPITAL,
    ),
    question(
        "manager_report",
        2,
        _manager_report,
        lambda year, holdings: 90 < max(holdings) < 110,
        parameters=(FILE,),
        year=YEAR,
        holdings=several(4, Input(numbers(70, 103, 1).draw, _millions)),
    ),
    question(
        "days_late",
        3,
        _days_late,
        lambda year, quarter, filed: _days_late(year, quarter, filed)[0] > 0,
        parameters=(FILE,),
        year=YEAR,
        quarter=Input(lambda rng, drawn: rng.choice(QUARTER_ENDS), _written),
        filed=Input(_late_day, _written),
    ),
    question(
        "sipc_shortfall",
        4,
        _sipc_shortfall,
        lambda year, securities, cash: _sipc_shortfall(year, securities, cash)[0] > 1_000,
        parameters=(FILE,),
        year=YEAR,
        securities=amounts(40_000, 720_000, 500),
        cash=amounts(40_000, 460_000, 500),
    ),
    question(
        "deposit_insurance",
        4,
        _deposit_insurance,
        lambda year, checking, savings, joint: _deposit_insurance(year, checking, savings, joint)[0] > 1_000,
        parameters=(FILE,),
        year=YEAR,
        checking=amounts(5_000, 190_000, 250),
        savings=amounts(30_000, 360_000, 250),
        joint=amounts(120_000, 900_000, 500),
    ),
    question(
        "trust_insurance",
        5,
        _trust_insurance,
        _worth_asking,
        parameters=(FILE,),
        year=YEAR,
        single=amounts(60_000, 480_000, 250),
        joint=amounts(120_000, 900_000, 500),
        trust=amounts(200_000, 2_400_000, 1_000),
        beneficiaries=wholes(2, 8),
    ),
    question(
        "wash_sale_basis",
        4,
        _wash_sale_basis,
        lambda year, sold, cost, price, days, bought, paid: bought < sold,
        parameters=(FILE,),
        year=YEAR,
        sold=wholes(50, 1_500, 10),
        cost=prices(14, 220),
        price=near("cost", 0.55, 0.96),
        days=wholes(3, 45),
        bought=wholes(20, 1_400, 10),
        paid=near("price", 0.85, 1.15),
    ),
)
