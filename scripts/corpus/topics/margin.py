"""Margin accounts: deposits, equity, calls and buying power, for long and for short positions in listed shares.

Prices are dollars a share, loans dollars. Rules: Regulation T of the Federal Reserve and FINRA Rule 4210.
"""

from scripts.corpus.figures import amounts, dollars, near, percent, prices, question, wholes
from scripts.corpus.topics.rulebook import FILE, YEAR, decide, rule

EXCESS = ("market", "equity", "required", "excess", "power")


def _reg_t_deposit(year, shares, price):
    cost = shares * price
    value = cost * rule("reg_t_long") / 100
    return value, "USD", ("deposit",), {"cost": dollars(cost), "initial": percent(rule("reg_t_long"))}


def _margin_call_price(year, shares, price):
    cost = shares * price
    loan = cost * (1 - rule("reg_t_long") / 100)
    value = loan / shares / (1 - rule("maintenance_long") / 100)
    said = {"cost": dollars(cost), "loan": dollars(loan), "initial": percent(rule("reg_t_long"))}
    said["least"] = percent(rule("maintenance_long"))
    return value, "USD", ("loan", "price"), said


def _maintenance_call(year, shares, price, loan):
    excess, said = _excess(shares, price, loan, rule("maintenance_long"))
    return -excess, "USD", ("market", "equity", "required", "call"), said


def _short_margin_call(year, shares, sold, now):
    proceeds, market = shares * sold, shares * now
    credit = proceeds * rule("reg_t_short") / 100
    equity, required = credit - market, market * rule("maintenance_short") / 100
    said = {"proceeds": dollars(proceeds), "credit": dollars(credit), "market": dollars(market)}
    said |= {"equity": dollars(equity), "required": dollars(required)}
    said |= {"whole": percent(rule("reg_t_short")), "least": percent(rule("maintenance_short"))}
    return required - equity, "USD", ("credit", "market", "equity", "required", "call"), said


def _excess_equity(year, shares, price, loan):
    excess, said = _excess(shares, price, loan, rule("reg_t_long"))
    return excess / (rule("reg_t_long") / 100), "USD", EXCESS, said


def _day_trading_power(year, shares, price, loan):
    excess, said = _excess(shares, price, loan, rule("maintenance_long"))
    said["times"] = rule("day_trading_multiple")
    return excess * rule("day_trading_multiple"), "USD", EXCESS, said


def _excess(shares, price, loan, share):
    """Equity above a required share of the market value, in percent, and how it comes about."""
    market = shares * price
    equity, required = market - loan, market * share / 100
    said = {"market": dollars(market), "equity": dollars(equity), "required": dollars(required)}
    said |= {"least": percent(share), "excess": dollars(equity - required)}
    return equity - required, said


def _pattern_day_trader(year, day_trades, trades, equity):
    share, least = day_trades / trades * 100, rule("day_trading_equity")
    pattern = day_trades >= rule("day_trades") and share > rule("day_trade_share")
    said = {
        "share": percent(share),
        "status": "is" if pattern else "is not",
        "relation": "less than" if equity < least else "at least",
        "many": rule("day_trades"),
        "part": percent(rule("day_trade_share")),
        "line": dollars(least),
    }
    return decide(not pattern or equity >= least), "choice", ("share", "status", "equity"), said


def _equity(shares, price, loan):
    """The owner's share of a long position, as a fraction."""
    return 1 - loan / (shares * price)


QUESTIONS = (
    question(
        "reg_t_deposit",
        1,
        _reg_t_deposit,
        parameters=(FILE,),
        year=YEAR,
        shares=wholes(20, 3_000, 10),
        price=prices(8, 420),
    ),
    question(
        "margin_call_price",
        2,
        _margin_call_price,
        parameters=(FILE,),
        year=YEAR,
        shares=wholes(50, 3_000, 10),
        price=prices(9, 380),
    ),
    question(
        "maintenance_call",
        4,
        _maintenance_call,
        lambda year, shares, price, loan: 0.03 < _equity(shares, price, loan) < 0.245,
        parameters=(FILE,),
        year=YEAR,
        shares=wholes(100, 3_000, 50),
        price=prices(9, 180),
        loan=amounts(3_000, 300_000, 50),
    ),
    question(
        "pattern_day_trader",
        3,
        _pattern_day_trader,
        lambda year, day_trades, trades, equity: day_trades / trades != 0.06 and day_trades < trades,
        parameters=(FILE,),
        year=YEAR,
        day_trades=wholes(2, 9),
        trades=wholes(12, 140),
        equity=amounts(9_000, 41_000, 50),
    ),
    question(
        "short_margin_call",
        5,
        _short_margin_call,
        lambda year, shares, sold, now: _short_margin_call(year, shares, sold, now)[0] > 100,
        parameters=(FILE,),
        year=YEAR,
        shares=wholes(100, 3_000, 50),
        sold=prices(20, 240),
        now=near("sold", 1.16, 1.45),
    ),
    question(
        "day_trading_power",
        5,
        _day_trading_power,
        lambda year, shares, price, loan: (
            0.3 < _equity(shares, price, loan) < 0.9 and shares * price - loan > rule("day_trading_equity") + 5_000
        ),
        parameters=(FILE,),
        year=YEAR,
        shares=wholes(100, 3_000, 50),
        price=prices(15, 220),
        loan=amounts(5_000, 200_000, 250),
    ),
    question(
        "excess_equity",
        5,
        _excess_equity,
        lambda year, shares, price, loan: 0.53 < _equity(shares, price, loan) < 0.95,
        parameters=(FILE,),
        year=YEAR,
        shares=wholes(100, 3_000, 50),
        price=prices(15, 220),
        loan=amounts(2_000, 200_000, 250),
    ),
)
