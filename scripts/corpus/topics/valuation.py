"""Valuation: bonds, dividends, projects and options.

Rates are numbers of percent a year, prices dollars, times years unless they are named months. Sources: Gordon (1959),
Dividends, Earnings, and Stock Prices; Macaulay (1938); Black and Scholes (1973); Stoll (1969) for put-call parity.
"""

import math
from statistics import NormalDist

from scripts.corpus.figures import (
    amounts,
    choices,
    dollars,
    listed,
    near,
    numbers,
    percent,
    plain,
    prices,
    question,
    rates,
    several,
    wholes,
)

CONTRACT = 100  # shares of an equity option


def _gordon_value(dividend, required, growth):
    return dividend / (required - growth) * 100, "USD", ("capitalise",), {"gap": percent(required - growth)}


def _tax_equivalent_yield(exempt, tax):
    kept = 1 - tax / 100
    return exempt / kept, "%", ("gross_up",), {"kept": plain(kept, 4)}


def _put_call_parity(spot, strike, call, rate, months):
    discounted = strike * math.exp(-rate / 100 * months / 12)
    return call + discounted - spot, "USD", ("discount", "parity"), {"discounted": dollars(discounted)}


def _option_profit(side, kind, strike, premium, final, contracts):
    payoff = round(max(final - strike if kind == "call" else strike - final, 0.0), 2)
    each = round(payoff - premium if side == "buys" else premium - payoff, 2)
    said = {"payoff": dollars(payoff), "each": dollars(each)}
    return each * CONTRACT * contracts, "USD", ("payoff", "profit"), said


def _bond_price(face, coupon, required, years):
    rate, periods = required / 200, 2 * years
    payment = face * coupon / 200
    coupons = payment * (1 - (1 + rate) ** -periods) / rate
    principal = face * (1 + rate) ** -periods
    said = {"payment": dollars(payment), "periods": periods, "half": percent(required / 2)}
    said |= {"coupons": dollars(coupons), "principal": dollars(principal)}
    return coupons + principal, "USD", ("coupons", "principal", "price"), said


def _net_present_value(outlay, flows, rate):
    present = _discounted(flows, rate)
    said = {"present": listed(map(dollars, present)), "total": dollars(sum(present))}
    return sum(present) - outlay, "USD", ("discount", "total", "net"), said


def _bond_price_change(price, duration, convexity, points):
    change = points / 10_000
    first, second = -duration * change * 100, convexity * change**2 / 2 * 100
    said = {"change": plain(change, 4), "first": percent(first), "second": percent(second)}
    said["both"] = percent(first + second)
    return price * (1 + (first + second) / 100), "USD", ("first", "second", "both", "price"), said


def _bond_duration(face, coupon, required, years):
    payment = face * coupon / 100
    present = _discounted([payment] * (years - 1) + [payment + face], required)
    price, weighted = sum(present), sum(year * each for year, each in enumerate(present, 1))
    macaulay, growth = weighted / price, 1 + required / 100
    said = {"payment": dollars(payment), "present": listed(map(dollars, present)), "price": dollars(price)}
    said |= {"weighted": plain(weighted, 2), "macaulay": plain(macaulay, 4), "growth": plain(growth, 4)}
    return macaulay / growth, "", ("flows", "price", "weighted", "macaulay", "modified"), said


def _two_stage_dividends(dividend, fast, slow, required):
    paid = [dividend * (1 + fast / 100) ** year for year in (1, 2, 3)]
    present = _discounted(paid, required)
    horizon = paid[-1] * (1 + slow / 100) / (required - slow) * 100
    discounted = horizon / (1 + required / 100) ** 3
    said = {"paid": listed(map(dollars, paid)), "present": listed(map(dollars, present)), "last": dollars(paid[-1])}
    said |= {"stream": dollars(sum(present)), "horizon": dollars(horizon), "discounted": dollars(discounted)}
    return sum(present) + discounted, "USD", ("dividends", "present", "horizon", "discounted", "value"), said


def _black_scholes_call(spot, strike, rate, volatility, months):
    time, deviation = months / 12, volatility / 100 * math.sqrt(months / 12)
    d1 = (math.log(spot / strike) + (rate / 100 + (volatility / 100) ** 2 / 2) * time) / deviation
    d2 = d1 - deviation
    likely, exercised = NormalDist().cdf(d1), NormalDist().cdf(d2)
    discounted = strike * math.exp(-rate / 100 * time)
    said = {"d1": plain(d1, 6), "d2": plain(d2, 6), "deviation": plain(deviation, 6), "time": plain(time, 6)}
    said |= {"likely": plain(likely, 6), "exercised": plain(exercised, 6), "discounted": dollars(discounted)}
    return spot * likely - discounted * exercised, "USD", ("d1", "d2", "probabilities", "discount", "price"), said


def _discounted(flows, rate):
    """Present values of payments at the ends of years 1, 2, ..."""
    return [flow / (1 + rate / 100) ** year for year, flow in enumerate(flows, 1)]


QUESTIONS = (
    question(
        "gordon_value",
        1,
        _gordon_value,
        lambda dividend, required, growth: required > growth + 2.5,
        dividend=prices(0.5, 9),
        required=rates(6, 14),
        growth=rates(0.5, 6),
    ),
    question("tax_equivalent_yield", 1, _tax_equivalent_yield, exempt=rates(1.2, 5.5), tax=rates(12, 48)),
    question(
        "put_call_parity",
        2,
        _put_call_parity,
        lambda spot, strike, call, rate, months: (
            call + strike * math.exp(-rate * months / 1200) - spot > 1 < spot - call
        ),
        strike=amounts(30, 260, 5),
        spot=near("strike", 0.85, 1.15),
        call=near("strike", 0.02, 0.25),
        rate=rates(0.5, 6),
        months=wholes(2, 18),
    ),
    question(
        "option_profit",
        2,
        _option_profit,
        lambda side, kind, strike, premium, final, contracts: premium < 0.12 * strike,
        side=choices(("buys", "sells")),
        kind=choices(("call", "put")),
        strike=amounts(20, 300, 5),
        premium=prices(0.6, 14),
        final=near("strike", 0.8, 1.22),
        contracts=wholes(2, 30),
    ),
    question(
        "bond_price",
        3,
        _bond_price,
        lambda face, coupon, required, years: abs(coupon - required) > 0.1,
        face=amounts(1_000, 50_000, 1_000),
        coupon=rates(1, 8),
        required=rates(1.5, 9),
        years=wholes(3, 30),
    ),
    question(
        "net_present_value",
        3,
        _net_present_value,
        lambda outlay, flows, rate: abs(_net_present_value(outlay, flows, rate)[0]) > 0.03 * outlay,
        outlay=amounts(20_000, 300_000, 1_000),
        flows=several(4, amounts(4_000, 120_000, 500)),
        rate=rates(4, 15),
    ),
    question(
        "bond_price_change",
        4,
        _bond_price_change,
        lambda price, duration, convexity, points: abs(points) >= 25 and duration**2 < convexity < 2.5 * duration**2,
        price=prices(820, 1_180),
        duration=numbers(2, 15),
        convexity=numbers(5, 300, 1),
        points=wholes(-200, 200, 5),
    ),
    question(
        "bond_duration",
        5,
        _bond_duration,
        face=amounts(1_000, 20_000, 1_000),
        coupon=rates(1, 9),
        required=rates(1.5, 9),
        years=wholes(3, 5),
    ),
    question(
        "two_stage_dividends",
        5,
        _two_stage_dividends,
        lambda dividend, fast, slow, required: fast > slow + 2 and required > slow + 3,
        dividend=prices(0.4, 6),
        fast=rates(6, 18),
        slow=rates(1, 4.5),
        required=rates(7, 13),
    ),
    question(
        "black_scholes_call",
        5,
        _black_scholes_call,
        lambda spot, strike, rate, volatility, months: (
            _black_scholes_call(spot, strike, rate, volatility, months)[0] > 1
        ),
        strike=amounts(40, 250, 5),
        spot=near("strike", 0.82, 1.2),
        rate=rates(0.5, 6),
        volatility=rates(14, 60),
        months=wholes(2, 18),
    ),
)
