"""Results of trades: profits in points and in multiples of risk, expectancy, costs, executions, drawdowns.

Currency pairs are quoted in dollars with pips of 0.0001: see ``scripts.corpus.topics.positions``. Sources: Kelly
(1956), A New Interpretation of Information Rate; Perold (1988), The Implementation Shortfall.
"""

from scripts.corpus.figures import (
    Input,
    amounts,
    cents,
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
    whole,
    wholes,
)
from scripts.corpus.topics.positions import LOT, LOTS, PAIR, PIP_OF_LOT, RATE, lots_within

YEAR = 360  # days, as interest on currencies is counted


def _break_even_rate(target, stop):
    value = stop / (stop + target) * 100
    return value, "%", ("rate",), {"sum": stop + target}


def _drawdown_recovery(depth):
    value = depth / (100 - depth) * 100
    return value, "%", ("recovery",), {"left": percent(100 - depth)}


def _futures_profit(side, contracts, entry, closed, multiplier):
    points = round(closed - entry if side == "long" else entry - closed, 2)
    value = points * multiplier * contracts
    return value, "USD", ("profit",), {"points": plain(points, 2)}


def _spread_cost(pair, lots, spread, trades):
    value = lots * PIP_OF_LOT * spread * trades
    return value, "USD", ("cost",), {"each": dollars(lots * PIP_OF_LOT)}


def _risk_multiple(side, entry, stop, closed):
    risk, gain = abs(entry - stop), closed - entry if side == "long" else entry - closed
    said = {"risk": dollars(risk), "gain": dollars(gain)}
    return gain / risk, "", ("risk", "ratio"), said


def _kelly_fraction(wins, gain, loss):
    odds = gain / loss
    value = wins - (100 - wins) / odds
    said = {"odds": plain(odds, 6), "losses": percent(100 - wins)}
    return value, "%", ("odds", "fraction"), said


def _average_fill(shares, paid):
    cost, size = sum(each * price for each, price in zip(shares, paid, strict=True)), sum(shares)
    said = {"cost": cents(cost), "size": whole(size)}
    return cost / size, "USD", ("cost", "average"), said


def _profit_factor(winners, gain, losers, loss):
    won, lost = winners * gain, losers * loss
    said = {"won": dollars(won), "lost": dollars(lost)}
    return won / lost, "", ("won", "lost", "ratio"), said


def _expectancy(wins, gain, loss, cost):
    won, lost = wins / 100 * gain, (100 - wins) / 100 * loss
    said = {"won": dollars(won), "losses": percent(100 - wins), "lost": dollars(lost)}
    return won - lost - cost, "USD", ("won", "lost", "net"), said


def _costly_break_even(target, stop, cost):
    gain, loss = target - cost, stop + cost
    value = loss / (gain + loss) * 100
    said = {"gain": dollars(gain), "loss": dollars(loss)}
    return value, "%", ("gain", "loss", "rate"), said


def _carry(pair, lots, price, base, quote, markup, nights):
    notional, net = lots * LOT * price, base - quote - markup
    daily = notional * net / 100 / YEAR
    said = {"notional": dollars(notional), "net": percent(net), "daily": dollars(daily)}
    return daily * nights, "USD", ("notional", "net", "daily", "total"), said


def _worst_drawdown(equity):
    peaks = [max(equity[: row + 1]) for row in range(len(equity))]
    falls = [(1 - value / peak) * 100 for value, peak in zip(equity, peaks, strict=True)]
    depth = max(falls)
    value = depth / (100 - depth) * 100
    said = {"peaks": listed(map(dollars, peaks)), "falls": listed(map(percent, falls))}
    said |= {"depth": percent(depth), "left": percent(100 - depth)}
    return value, "%", ("peaks", "falls", "depth", "recovery"), said


def _scaled_exit(shares, entry, stop, first, second):
    half = shares // 2
    risk, gains = shares * (entry - stop), (half * (first - entry), half * (second - entry))
    total = sum(gains)
    said = {"half": whole(half), "risk": dollars(risk), "gain": dollars(gains[0]), "more": dollars(gains[1])}
    said |= {"total": dollars(total)}
    return total / risk, "", ("risk", "first", "second", "total", "multiple"), said


def _round_trip(pair, account, risk, stop, pips, spread, commission):
    budget, lots = account * risk / 100, lots_within(account, risk, stop)
    each = lots * PIP_OF_LOT
    gross, crossing, fees = each * pips, each * spread, lots * commission
    said = {"budget": dollars(budget), "lots": f"{lots:.2f}", "raw": plain(budget / stop / PIP_OF_LOT, 4)}
    said |= {"each": dollars(each), "gross": dollars(gross), "crossing": dollars(crossing), "fees": dollars(fees)}
    value = gross - crossing - fees
    steps = ("budget", "lots", "gross", "spread", "commission", "net")
    return value, "USD", steps, said


def _implementation_shortfall(shares, decision, filled, paid, commission, close):
    execution, opportunity = filled * (paid - decision), (shares - filled) * (close - decision)
    fees, paper = filled * commission, shares * decision
    total = execution + fees + opportunity
    said = {"execution": dollars(execution), "fees": dollars(fees), "missed": whole(shares - filled)}
    said |= {"opportunity": dollars(opportunity), "total": dollars(total), "paper": dollars(paper)}
    steps = ("execution", "fees", "opportunity", "total", "points")
    return total / paper * 10_000, "basis points", steps, said


def _fills(rng, drawn):
    """Three prices close together."""
    middle = rng.uniform(20, 240)
    return [round(middle * rng.uniform(0.993, 1.007), 2) for _ in range(3)]


def _walk(rng, drawn):
    """Six values of an account, in dollars, one month apart."""
    values = [10 * rng.randint(2_000, 20_000)]
    for _ in range(5):
        values.append(10 * round(values[-1] * (1 + rng.uniform(-0.16, 0.16)) / 10))
    return values


QUESTIONS = (
    question("break_even_rate", 1, _break_even_rate, target=wholes(15, 320), stop=wholes(10, 160)),
    question("drawdown_recovery", 1, _drawdown_recovery, depth=rates(3, 75)),
    question(
        "futures_profit",
        1,
        _futures_profit,
        lambda side, contracts, entry, closed, multiplier: 2 < abs(entry - closed) < 140,
        side=choices(("long", "short")),
        contracts=wholes(2, 40),
        entry=Input(lambda rng, drawn: rng.randint(6_000, 24_000) / 4, "{:,.2f}".format),
        closed=Input(lambda rng, drawn: rng.randint(6_000, 24_000) / 4, "{:,.2f}".format),
        multiplier=choices({2: "$2", 5: "$5", 20: "$20", 50: "$50"}),
    ),
    question(
        "spread_cost",
        1,
        _spread_cost,
        names=("pair",),
        pair=PAIR,
        lots=LOTS,
        spread=numbers(0.2, 3.5, 1),
        trades=wholes(5, 240),
    ),
    question(
        "risk_multiple",
        2,
        _risk_multiple,
        lambda side, entry, stop, closed: (
            (stop < entry) == (side == "long")
            and abs(stop / entry - 1) > 0.01
            and abs(_risk_multiple(side, entry, stop, closed)[0] - 2.5) < 3.7
            and closed != entry
        ),
        side=choices(("long", "short")),
        entry=prices(20, 400),
        stop=near("entry", 0.9, 1.1),
        closed=near("entry", 0.75, 1.3),
    ),
    question(
        "kelly_fraction",
        2,
        _kelly_fraction,
        lambda wins, gain, loss: 1.5 < wins - (100 - wins) * loss / gain < 45,
        wins=rates(32, 68),
        gain=amounts(80, 1_800),
        loss=amounts(60, 1_200),
    ),
    question(
        "average_fill",
        2,
        _average_fill,
        lambda shares, paid: len(set(paid)) == 3,
        shares=several(3, wholes(100, 4_000, 50)),
        paid=Input(_fills, lambda values: listed(map(cents, values))),
    ),
    question(
        "profit_factor",
        3,
        _profit_factor,
        lambda winners, gain, losers, loss: 0.4 < winners * gain / (losers * loss) < 4,
        winners=wholes(18, 140),
        gain=prices(60, 900),
        losers=wholes(15, 150),
        loss=prices(50, 700),
    ),
    question(
        "expectancy",
        3,
        _expectancy,
        lambda wins, gain, loss, cost: abs(_expectancy(wins, gain, loss, cost)[0]) > 3,
        wins=rates(30, 70),
        gain=amounts(90, 1_600),
        loss=amounts(70, 1_100),
        cost=prices(1.5, 24),
    ),
    question(
        "costly_break_even",
        3,
        _costly_break_even,
        lambda target, stop, cost: cost < 0.3 * target,
        target=amounts(60, 900),
        stop=amounts(50, 700),
        cost=prices(2, 45),
    ),
    question(
        "carry",
        4,
        _carry,
        lambda pair, lots, price, base, quote, markup, nights: abs(base - quote - markup) > 0.2,
        names=("pair",),
        pair=PAIR,
        lots=LOTS,
        price=RATE,
        base=rates(0.25, 5.5),
        quote=rates(0.25, 5.5),
        markup=rates(0.2, 1.2),
        nights=wholes(5, 120),
    ),
    question(
        "worst_drawdown",
        4,
        _worst_drawdown,
        lambda equity: any(later < 0.97 * before for before, later in zip(equity, equity[1:], strict=False)),
        equity=Input(_walk, lambda values: listed(map(dollars, values))),
    ),
    question(
        "scaled_exit",
        5,
        _scaled_exit,
        lambda shares, entry, stop, first, second: (
            0.3 < (first - entry) / (entry - stop) < 4 and -1.1 < (second - entry) / (entry - stop) < 8
        ),
        shares=wholes(60, 2_400, 20),
        entry=prices(20, 400),
        stop=near("entry", 0.92, 0.985),
        first=near("entry", 1.005, 1.2),
        second=near("entry", 0.97, 1.35),
    ),
    question(
        "round_trip",
        6,
        _round_trip,
        lambda pair, account, risk, stop, pips, spread, commission: (
            lots_within(account, risk, stop) >= 0.2 and abs(pips) > 4 * spread
        ),
        names=("pair",),
        pair=PAIR,
        account=amounts(5_000, 200_000, 250),
        risk=rates(0.25, 2.5),
        stop=wholes(12, 120),
        pips=wholes(-60, 260),
        spread=numbers(0.2, 2.4, 1),
        commission=prices(2, 9),
    ),
    question(
        "implementation_shortfall",
        5,
        _implementation_shortfall,
        lambda shares, decision, filled, paid, commission, close: (
            0.5 < filled / shares < 0.97
            and _implementation_shortfall(shares, decision, filled, paid, commission, close)[0] > 4
        ),
        shares=wholes(1_000, 30_000, 100),
        decision=prices(20, 300),
        filled=wholes(600, 29_000, 100),
        paid=near("decision", 1.0004, 1.02),
        commission=Input(lambda rng, drawn: rng.randint(2, 20) / 1_000, "${:.3f}".format),
        close=near("decision", 0.97, 1.04),
    ),
)
