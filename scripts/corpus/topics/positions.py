"""Positions: how large, how far to the stop, how much margin.

Currency pairs are quoted in dollars: a standard lot is 100,000 units of the base currency, a pip 0.0001, so a
pip of one lot is 10 dollars. Sizes are rounded down to whole shares or contracts, or to hundredths of a lot.
"""

import math

from scripts.corpus.figures import (
    Input,
    amounts,
    choices,
    dollars,
    near,
    numbers,
    plain,
    prices,
    question,
    rates,
    wholes,
)

LOT = 100_000
PIP = 0.0001
PIP_OF_LOT = 10
# pairs and where their rates are drawn, in hundred-thousandths
PAIRS = {
    "EUR/USD": (98_000, 124_000),
    "GBP/USD": (108_000, 142_000),
    "AUD/USD": (58_000, 79_000),
    "NZD/USD": (55_000, 74_000),
}
PAIR = choices(tuple(PAIRS))
RATE = Input(lambda rng, drawn: rng.randint(*PAIRS[drawn["pair"]]) / 100_000, "{:.5f}".format)
LOTS = Input(lambda rng, drawn: rng.randint(5, 900) / 100, "{:.2f}".format)


def _pip_profit(pair, lots, pips):
    value = lots * PIP_OF_LOT * pips
    return value, "USD", ("pips",), {"each": dollars(lots * PIP_OF_LOT)}


def _effective_leverage(units, price, equity):
    exposure = units * price
    return exposure / equity, "", ("ratio",), {"exposure": dollars(exposure)}


def _position_size(account, risk, entry, stop):
    budget, distance = account * risk / 100, round(100 * (entry - stop))
    # in whole hundredths of cents: rounding down must not depend on binary fractions
    size = account * round(100 * risk) // (100 * distance)
    said = {"budget": dollars(budget), "distance": dollars(distance / 100)}
    return size, "shares", ("budget", "size"), said


def _atr_stop(side, entry, atr, factor):
    distance = factor * atr
    value = round(entry - distance if side == "long" else entry + distance, 4)
    sign = "below" if side == "long" else "above"
    said = {"distance": dollars(distance), "sign": sign}
    return value, "USD", ("distance", "stop"), said


def _scaled_position(capital, target, realised):
    factor = target / realised
    value = capital * factor
    return value, "USD", ("factor", "exposure"), {"factor": plain(factor)}


def _yen_profit(lots, pips, rate):
    yen = lots * LOT * 0.01 * pips
    value = yen / rate
    said = {"yen": f"{yen:,.0f}", "each": f"{lots * LOT * 0.01:,.0f}"}
    return value, "USD", ("yen", "convert"), said


def _lots_by_risk(pair, account, risk, stop):
    budget, lots = account * risk / 100, lots_within(account, risk, stop)
    said = {"budget": dollars(budget), "loss": dollars(stop * PIP_OF_LOT)}
    said |= {"raw": plain(budget / (stop * PIP_OF_LOT), 4)}
    return lots, "lots", ("budget", "loss", "lots"), said


def lots_within(account, risk, stop):
    """Lots, rounded down to hundredths, that at a stop of so many pips lose no more than a share of the account."""
    return account * round(100 * risk) // (100 * PIP_OF_LOT * stop) / 100


def _correlated_risk(first, second, correlation):
    squares, cross = first**2 + second**2, 2 * correlation * first * second
    value = math.sqrt(squares + cross)
    said = {"squares": plain(squares, 0), "cross": plain(cross, 2), "sum": plain(squares + cross, 2)}
    return value, "USD", ("squares", "cross", "root"), said


def _margin_call_rate(side, pair, lots, rate, leverage, equity, level):
    margin = lots * LOT * rate / leverage
    spare = equity - margin * level / 100
    pips = spare / (lots * PIP_OF_LOT)
    value = round(rate - pips * PIP if side == "long" else rate + pips * PIP, 5)
    said = {"margin": dollars(margin), "floor": dollars(margin * level / 100), "spare": dollars(spare)}
    said |= {"pips": plain(pips, 2), "sign": "-" if side == "long" else "+"}
    return value, "rate", ("margin", "spare", "pips", "rate"), said


def _futures_margin(account, risk, ticks, tick, margin):
    budget, loss = account * risk / 100, round(ticks * tick, 2)
    contracts = account * round(100 * risk) // round(10_000 * ticks * tick)
    used = contracts * margin
    said = {"budget": dollars(budget), "loss": dollars(loss), "raw": plain(budget / loss, 4), "contracts": contracts}
    said |= {"used": dollars(used)}
    return used / account * 100, "%", ("budget", "loss", "contracts", "used", "share"), said


QUESTIONS = (
    question("pip_profit", 1, _pip_profit, names=("pair",), pair=PAIR, lots=LOTS, pips=wholes(6, 240)),
    question(
        "effective_leverage",
        1,
        _effective_leverage,
        lambda units, price, equity: 1.2 < units * price / equity < 40,
        units=wholes(10_000, 900_000, 1_000),
        price=numbers(0.6, 1.4, 5),
        equity=amounts(3_000, 90_000, 50),
    ),
    question(
        "position_size",
        2,
        _position_size,
        lambda account, risk, entry, stop: account * risk / (entry - stop) > 2_000,
        account=amounts(8_000, 400_000, 250),
        risk=rates(0.25, 2.5),
        entry=prices(15, 320),
        stop=near("entry", 0.86, 0.99),
    ),
    question(
        "atr_stop",
        2,
        _atr_stop,
        side=choices(("long", "short")),
        entry=prices(18, 420),
        atr=near("entry", 0.01, 0.06),
        factor=numbers(1, 4, 1),
    ),
    question(
        "scaled_position",
        2,
        _scaled_position,
        lambda capital, target, realised: 0.2 < target / realised < 3,
        capital=amounts(20_000, 900_000, 500),
        target=rates(5, 20),
        realised=rates(6, 55),
    ),
    question("yen_profit", 2, _yen_profit, lots=LOTS, pips=wholes(8, 220), rate=numbers(98, 162)),
    question(
        "lots_by_risk",
        3,
        _lots_by_risk,
        lambda pair, account, risk, stop: lots_within(account, risk, stop) >= 0.2,
        names=("pair",),
        pair=PAIR,
        account=amounts(4_000, 250_000, 100),
        risk=rates(0.25, 2.5),
        stop=wholes(12, 160),
    ),
    question(
        "correlated_risk",
        3,
        _correlated_risk,
        lambda first, second, correlation: correlation != 0 and 0.3 < first / second < 3,
        first=amounts(150, 5_000, 10),
        second=amounts(150, 5_000, 10),
        correlation=numbers(-0.7, 0.95),
    ),
    question(
        "margin_call_rate",
        4,
        _margin_call_rate,
        lambda side, pair, lots, rate, leverage, equity, level: (
            15 < (equity - lots * LOT * rate / leverage * level / 100) / (lots * PIP_OF_LOT) < 900
        ),
        names=("pair",),
        side=choices(("long", "short")),
        pair=PAIR,
        lots=LOTS,
        rate=RATE,
        leverage=choices((20, 25, 30, 50, 100)),
        equity=amounts(800, 60_000, 50),
        level=choices((50, 80, 100)),
    ),
    question(
        "futures_margin",
        5,
        _futures_margin,
        lambda account, risk, ticks, tick, margin: (
            2 <= account * risk / 100 / (ticks * tick) < 60
            and account * risk / 100 // (ticks * tick) * margin < 0.8 * account
        ),
        account=amounts(40_000, 900_000, 500),
        risk=rates(0.4, 2.5),
        ticks=wholes(8, 60),
        tick=choices({5.0: "$5", 6.25: "$6.25", 10.0: "$10", 12.5: "$12.50"}),
        margin=amounts(1_200, 16_000, 50),
    ),
)
