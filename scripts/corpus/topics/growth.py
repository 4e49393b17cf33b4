"""Growth of money: compounding, inflation, fees and taxes on the way, and how a return is measured.

Rates are numbers of percent a year, times are years.
"""

import math

from scripts.corpus.figures import (
    amounts,
    choices,
    dollars,
    listed,
    percent,
    plain,
    prices,
    question,
    rates,
    several,
    wholes,
)

FREQUENCIES = {1: "once a year", 2: "twice a year", 4: "every quarter", 12: "every month"}


def _future_value(amount, rate, years, frequency):
    periods, periodic = frequency * years, rate / frequency
    value = amount * (1 + periodic / 100) ** periods
    return value, "USD", ("grow",), {"periods": periods, "periodic": percent(periodic)}


def _real_return(nominal, inflation):
    grown, prices = 1 + nominal / 100, 1 + inflation / 100
    return (grown / prices - 1) * 100, "%", ("deflate",), {"grown": plain(grown, 4), "prices": plain(prices, 4)}


def _cagr(begin, end, years):
    growth = end / begin
    return (growth ** (1 / years) - 1) * 100, "%", ("growth", "root"), {"growth": plain(growth, 6)}


def _expense_drag(amount, gross, low, high, years):
    cheap, dear = (amount * (1 + (gross - fee) / 100) ** years for fee in (low, high))
    said = {"net_low": percent(gross - low), "net_high": percent(gross - high)}
    said |= {"cheap": dollars(cheap), "dear": dollars(dear)}
    return cheap - dear, "USD", ("cheap", "dear", "gap"), said


def _average_cost(amount, prices):
    bought = [amount / price for price in prices]
    spent, units = amount * len(prices), sum(bought)
    said = {"bought": listed(plain(each, 4) for each in bought), "units": plain(units, 4), "spent": dollars(spent)}
    return spent / units, "USD", ("units", "total", "average"), said


def _real_wealth(amount, gross, fee, tax, inflation, years):
    net = gross - fee
    kept = net * (1 - tax / 100)
    nominal, prices = amount * (1 + kept / 100) ** years, (1 + inflation / 100) ** years
    said = {"net": percent(net), "kept": percent(kept), "nominal": dollars(nominal), "prices": plain(prices, 6)}
    return nominal / prices, "USD", ("net", "kept", "nominal", "prices", "real"), said


def _money_weighted_gap(begin, middle, deposit, end):
    first, second = middle / begin - 1, end / (middle + deposit) - 1
    timed = math.sqrt((1 + first) * (1 + second)) - 1
    # begin x^2 + deposit x = end, x being one year's growth
    root = math.sqrt(deposit**2 + 4 * begin * end)
    money = (root - deposit) / (2 * begin) - 1
    rates = {"first": first, "second": second, "timed": timed, "money": money}
    said = {name: percent(each * 100, 4) for name, each in rates.items()} | {"invested": dollars(middle + deposit)}
    return (money - timed) * 100, "%", ("first", "second", "timed", "money", "gap"), said


QUESTIONS = (
    question(
        "future_value",
        1,
        _future_value,
        amount=amounts(1_000, 250_000, 250),
        rate=rates(1.5, 12),
        years=wholes(3, 35),
        frequency=choices(FREQUENCIES),
    ),
    question(
        "real_return",
        1,
        _real_return,
        lambda nominal, inflation: nominal > inflation + 0.3,
        nominal=rates(1, 18),
        inflation=rates(0.5, 9.5),
    ),
    question(
        "cagr",
        2,
        _cagr,
        lambda begin, end, years: 1.1 < end / begin < 1.25**years,
        begin=amounts(2_000, 300_000, 50),
        end=amounts(3_000, 900_000, 10),
        years=wholes(2, 25),
    ),
    question(
        "expense_drag",
        3,
        _expense_drag,
        amount=amounts(5_000, 400_000, 500),
        gross=rates(4, 9.5),
        low=rates(0.03, 0.35),
        high=rates(0.55, 1.9),
        years=wholes(8, 35),
    ),
    question("average_cost", 3, _average_cost, amount=amounts(100, 3_000, 25), prices=several(4, prices(12, 90))),
    question(
        "real_wealth",
        5,
        _real_wealth,
        amount=amounts(5_000, 400_000, 500),
        gross=rates(4, 10),
        fee=rates(0.05, 1.5),
        tax=rates(5, 35),
        inflation=rates(1, 4.5),
        years=wholes(5, 35),
    ),
    question(
        "money_weighted_gap",
        5,
        _money_weighted_gap,
        lambda begin, middle, deposit, end: (
            0.75 < middle / begin < 1.35
            and 0.75 < end / (middle + deposit) < 1.35
            and abs(_money_weighted_gap(begin, middle, deposit, end)[0]) > 0.5
        ),
        begin=amounts(20_000, 200_000, 1_000),
        middle=amounts(15_000, 270_000, 100),
        deposit=amounts(10_000, 250_000, 1_000),
        end=amounts(20_000, 650_000, 100),
    ),
)
