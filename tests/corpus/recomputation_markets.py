"""The questions on investment, compliance and trading, computed again: by loops, sums and searches, rules by heart."""

import datetime
import math
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction

import numpy as np

# the third Mondays of February, the only federal holidays near a day on which holdings are reported
HOLIDAYS = np.array(["2024-02-19", "2025-02-17", "2026-02-16"], dtype="datetime64[D]")


def exact(value):
    """A drawn number as the decimal fraction that it is written as."""
    return Fraction(str(value))


def floor(value):
    return int(Decimal(value.numerator // value.denominator).to_integral_value(ROUND_FLOOR))


def root_of(function, low, high):
    """Where a falling function is 0, by bisection."""
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return low


def compounded(amount, percent, periods):
    for _ in range(periods):
        amount += amount * percent / 100
    return amount


def present(flows, percent):
    """Payments at the ends of years, from the last one back."""
    value = 0.0
    for flow in reversed(flows):
        value = (value + flow) / (1 + percent / 100)
    return value


def real_wealth(amount, gross, fee, tax, inflation, years):
    prices = 1.0
    for _ in range(years):
        gain = amount * gross / 100 - amount * fee / 100
        amount += gain - gain * tax / 100
        prices += prices * inflation / 100
    return amount / prices


def money_weighted_gap(begin, middle, deposit, end):
    rate = root_of(lambda r: end - begin * (1 + r) ** 2 - deposit * (1 + r), -0.9, 2.0)
    growth = middle / begin * end / (middle + deposit)
    return 100 * (1 + rate - math.exp(math.log(growth) / 2))


def covariance(deviations, correlations):
    matrix = np.eye(len(deviations))
    places = [(0, 1), (0, 2), (1, 2)][: len(correlations)]
    for (row, column), value in zip(places, correlations, strict=True):
        matrix[row, column] = matrix[column, row] = value
    return np.outer(deviations, deviations) * matrix


def two_asset_volatility(share, first, second, correlation):
    weights = np.array([share, 100 - share]) / 100
    return math.sqrt(weights @ covariance([first, second], [correlation]) @ weights)


def three_asset_sharpe(shares, gains, deviations, correlations, free):
    weights = np.array(shares) / 100
    return (weights @ gains - free) / math.sqrt(weights @ covariance(deviations, correlations) @ weights)


def portfolio_return(amounts, betas, free, premium):
    returns = [free + beta * premium for beta in betas]
    return float(np.average(returns, weights=amounts))


def sortino_ratio(returns, target):
    excess = np.array(returns) - target
    return excess.mean() / np.sqrt(np.mean(np.where(excess < 0, excess, 0) ** 2))


def option_profit(side, kind, strike, premium, final, contracts):
    exercised = final > strike if kind == "call" else final < strike
    bought = (abs(exact(final) - strike) if exercised else 0) - exact(premium)
    return float(sum(bought * 100 for _ in range(contracts)) * (1 if side == "buys" else -1))


def bond_price(face, coupon, required, years):
    value = 0.0
    for _ in range(2 * years):
        value = (value + face * coupon / 200) / (1 + required / 200)
    return value + face / (1 + required / 200) ** (2 * years)


def bond_duration(face, coupon, required, years):
    """By the slope of the price."""
    flows = [face * coupon / 100] * years
    flows[-1] += face
    step = 1e-4
    low, high = present(flows, required - step), present(flows, required + step)
    return (low - high) / (2 * step / 100) / present(flows, required)


def two_stage_dividends(dividend, fast, slow, required):
    flows = []
    for year in range(4_000):
        dividend *= 1 + (fast if year < 3 else slow) / 100
        flows.append(dividend)
    return present(flows, required)


def black_scholes_call(spot, strike, rate, volatility, months):
    """The discounted mean of the payoff of a lognormal price, by the trapezoid rule."""
    time, sigma = months / 12, volatility / 100
    drift, width = (rate / 100 - sigma**2 / 2) * time, sigma * math.sqrt(time)
    nodes = np.linspace((math.log(strike / spot) - drift) / width, 12, 200_001)
    payoff = (spot * np.exp(drift + width * nodes) - strike) * np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi)
    return math.exp(-rate / 100 * time) * float(np.sum((payoff[1:] + payoff[:-1]) / 2 * np.diff(nodes)))


INVESTMENT = {
    "future_value": lambda amount, rate, years, frequency: compounded(amount, rate / frequency, years * frequency),
    "real_return": lambda nominal, inflation: 100 * (nominal - inflation) / (100 + inflation),
    "cagr": lambda begin, end, years: 100 * math.expm1((math.log(end) - math.log(begin)) / years),
    "expense_drag": lambda amount, gross, low, high, years: (
        compounded(amount, gross - low, years) - compounded(amount, gross - high, years)
    ),
    "average_cost": lambda amount, prices: len(prices) / sum(1 / price for price in prices),
    "real_wealth": real_wealth,
    "money_weighted_gap": money_weighted_gap,
    "sharpe_ratio": lambda gain, free, deviation: gain / deviation - free / deviation,
    "capm_return": lambda free, beta, market: (1 - beta) * free + beta * market,
    "two_asset_volatility": two_asset_volatility,
    "portfolio_return": portfolio_return,
    "information_ratio": lambda gain, benchmark, error: gain / error - benchmark / error,
    "rebalancing_trade": lambda stocks, bonds, cash, target: (
        abs(stocks * (100 - target) - (bonds + cash) * target) / 100
    ),
    "sortino_ratio": sortino_ratio,
    "jensen_alpha": lambda gain, free, beta, market: (gain - free) - beta * (market - free),
    "three_asset_sharpe": three_asset_sharpe,
    "gordon_value": lambda dividend, required, growth: present(
        [dividend * (1 + growth / 100) ** year for year in range(4_000)], required
    ),
    "tax_equivalent_yield": lambda exempt, tax: root_of(lambda rate: exempt - rate * (100 - tax) / 100, 0, 100),
    "put_call_parity": lambda spot, strike, call, rate, months: (
        call - (spot - strike / math.e ** (rate / 100 / 12 * months))
    ),
    "option_profit": option_profit,
    "bond_price": bond_price,
    "net_present_value": lambda outlay, flows, rate: present(flows, rate) - outlay,
    "bond_price_change": lambda price, duration, convexity, points: float(
        np.polyval([price * convexity / 2, -price * duration, price], points / 10_000)
    ),
    "bond_duration": bond_duration,
    "two_stage_dividends": two_stage_dividends,
    "black_scholes_call": black_scholes_call,
}


def yes(condition):
    return "yes" if condition else "no"


def pattern_day_trader(year, day_trades, trades, equity):
    flagged = day_trades >= 4 and 100 * day_trades > 6 * trades
    return yes(equity >= 25_000 or not flagged)


def affiliate_limit(year, outstanding, volumes):
    return max(outstanding // 100, sum(volumes) // 4)


def short_swing_profit(year, bought, paid, sold, received):
    """Hundred by hundred shares: the cheapest purchase with the dearest sale, as long as that is a gain."""
    buys = sorted(price for price, count in zip(paid, bought, strict=True) for _ in range(count // 100))
    sells = sorted(price for price, count in zip(received, sold, strict=True) for _ in range(count // 100))
    pairs = zip(buys, reversed(sells), strict=False)
    return float(sum(100 * max(exact(high) - exact(low), 0) for low, high in pairs))


def crowdfunding_limit(year, income, worth):
    if income >= 124_000 and worth >= 124_000:
        return min(max(income, worth) / 10, 124_000)
    return max(max(income, worth) / 20, 2_500)


def accredited_worth(year, investments, home, mortgage, debts):
    return yes(investments - debts - (mortgage - home if mortgage > home else 0) > 1_000_000)


def fund_owners(year, persons, first_share, first_holders, second_share, second_holders):
    first = 1 if first_share < 10 else first_holders
    second = 1 if second_share < 10 else second_holders
    return yes(persons + first + second < 101)


def days_late(year, quarter, filed):
    due = np.busday_offset(np.datetime64(quarter) + 45, 0, roll="forward", holidays=HOLIDAYS)
    return (datetime.date.fromisoformat(filed) - due.item()).days


def sipc_shortfall(year, securities, cash):
    return securities + cash - min(securities + min(cash, 250_000), 500_000)


def beyond(balance, limit):
    return balance - limit if balance > limit else 0


def margin_call_price(year, shares, price):
    # equity over value, with the loan at half the cost
    return root_of(lambda now: 0.25 - (now - price / 2) / now, price / 100, price)


COMPLIANCE = {
    "reg_t_deposit": lambda year, shares, price: float(shares * exact(price) / 2),
    "margin_call_price": margin_call_price,
    "maintenance_call": lambda year, shares, price, loan: loan - 0.75 * shares * price,
    "pattern_day_trader": pattern_day_trader,
    "short_margin_call": lambda year, shares, sold, now: shares * (1.3 * now - 1.5 * sold),
    "day_trading_power": lambda year, shares, price, loan: 3 * shares * price - 4 * loan,
    "excess_equity": lambda year, shares, price, loan: shares * price - 2 * loan,
    "buyback_limit": lambda year, volume: volume // 4,
    "ownership_report": lambda year, held, outstanding: yes(20 * held > outstanding),
    "tier_2_limit": lambda year, income, worth: (income if income > worth else worth) / 10,
    "accredited_income": lambda year, household, incomes: yes(
        all(each > {"alone": 200_000, "joint": 300_000}[household] for each in incomes)
    ),
    "sale_notice": lambda year, shares, price: yes(shares > 5_000 or shares * exact(price) > 50_000),
    "crowdfunding_limit": crowdfunding_limit,
    "accredited_worth": accredited_worth,
    "fund_owners": fund_owners,
    "affiliate_limit": affiliate_limit,
    "affiliate_remainder": lambda year, outstanding, volumes, sold, holding: (
        holding + sold - affiliate_limit(year, outstanding, volumes)
    ),
    "short_swing_profit": short_swing_profit,
    "circuit_breaker": lambda year, level, close: close * {1: 0.93, 2: 0.87, 3: 0.8}[level],
    "short_sale_trigger": lambda year, close: 0.9 * close,
    "net_capital": lambda year, indebtedness: indebtedness / 15,
    "currency_report": lambda year, deposits: yes(sum(deposits) > 10_000),
    "suspicious_activity": lambda year, firm, transfers: yes(
        sum(transfers) >= (2_000 if firm == "transmitter" else 5_000)
    ),
    "adviser_registration": lambda year, accounts, fund, commitments: yes(
        exact(accounts) + exact(fund) + exact(commitments) >= 110
    ),
    "manager_report": lambda year, holdings: yes(any(each >= 100 for each in holdings)),
    "days_late": days_late,
    "sipc_shortfall": sipc_shortfall,
    "deposit_insurance": lambda year, checking, savings, joint: (
        beyond(checking + savings, 250_000) + beyond(joint, 500_000) / 2
    ),
    "trust_insurance": lambda year, single, joint, trust, beneficiaries: (
        beyond(single, 250_000) + beyond(joint, 500_000) / 2 + beyond(trust, 250_000 * min(beneficiaries, 5))
    ),
    "wash_sale_basis": lambda year, sold, cost, price, days, bought, paid: float(
        exact(paid) + (exact(cost) - exact(price) if days < 31 else 0)
    ),
}


def lots(account, risk, stop):
    """The most hundredths of a lot of 10 dollars a pip that lose no more than the budget, exactly."""
    return floor(account * exact(risk) / 100 / (10 * stop) * 100) / 100


def margin_call_rate(side, pair, lots, rate, leverage, equity, level):
    margin, sign = lots * 100_000 * rate / leverage, 1 if side == "long" else -1
    move = root_of(lambda fall: equity - lots * 100_000 * fall - margin * level / 100, 0, 10)
    return round(rate - sign * move, 5)


def futures_margin(account, risk, ticks, tick, margin):
    contracts = floor(account * exact(risk) / 100 / (ticks * exact(tick)))
    return 100 * contracts * margin / account


def costly_break_even(target, stop, cost):
    rate = root_of(lambda loses: (1 - loses) * target - loses * stop - cost, 0, 1)
    return 100 * (1 - rate)


def worst_drawdown(equity):
    pairs = [(early, late) for place, early in enumerate(equity) for late in equity[place:]]
    return 100 * (max(early / late for early, late in pairs) - 1)


def implementation_shortfall(shares, decision, filled, paid, commission, close):
    paper = shares * (close - decision)
    real = filled * (close - paid) - filled * commission
    return 10_000 * (paper - real) / (shares * decision)


def round_trip(pair, account, risk, stop, pips, spread, commission):
    return lots(account, risk, stop) * (10 * (pips - spread) - commission)


TRADING = {
    "pip_profit": lambda pair, lots, pips: 100_000 * lots * 0.0001 * pips,
    "effective_leverage": lambda units, price, equity: units / equity * price,
    "position_size": lambda account, risk, entry, stop: floor(
        account * exact(risk) / 100 / (exact(entry) - exact(stop))
    ),
    "atr_stop": lambda side, entry, atr, factor: float(
        exact(entry) + exact(atr) * exact(factor) * (-1 if side == "long" else 1)
    ),
    "scaled_position": lambda capital, target, realised: capital / realised * target,
    "yen_profit": lambda lots, pips, rate: lots * 1_000 * pips / rate,
    "lots_by_risk": lambda pair, account, risk, stop: lots(account, risk, stop),
    "correlated_risk": lambda first, second, correlation: math.sqrt(
        np.ones(2) @ covariance([first, second], [correlation]) @ np.ones(2)
    ),
    "margin_call_rate": margin_call_rate,
    "futures_margin": futures_margin,
    "break_even_rate": lambda target, stop: costly_break_even(target, stop, 0),
    "drawdown_recovery": lambda depth: 100 * (1 / (1 - depth / 100) - 1),
    "futures_profit": lambda side, contracts, entry, closed, multiplier: (
        {"long": 1, "short": -1}[side] * contracts * multiplier * (closed - entry)
    ),
    "spread_cost": lambda pair, lots, spread, trades: sum(lots * 10 * spread for _ in range(trades)),
    "risk_multiple": lambda side, entry, stop, closed: (closed - entry) / (entry - stop),
    "kelly_fraction": lambda wins, gain, loss: 100 * (wins / 100 * (gain + loss) - loss) / gain,
    "average_fill": lambda shares, paid: float(np.average(paid, weights=shares)),
    "profit_factor": lambda winners, gain, losers, loss: winners / losers * gain / loss,
    "expectancy": lambda wins, gain, loss, cost: wins / 100 * (gain + loss) - loss - cost,
    "costly_break_even": costly_break_even,
    "carry": lambda pair, lots, price, base, quote, markup, nights: sum(
        lots * 1_000 * price * (base - quote - markup) / 360 for _ in range(nights)
    ),
    "worst_drawdown": worst_drawdown,
    "scaled_exit": lambda shares, entry, stop, first, second: ((first + second) / 2 - entry) / (entry - stop),
    "round_trip": round_trip,
    "implementation_shortfall": implementation_shortfall,
    "realised_volatility": lambda closes: 100 * math.sqrt(252) * float(np.std(np.diff(np.log(closes)), ddof=1)),
    "spread_score": lambda first, second, hedge, history: (
        (first - hedge * second - np.mean(history)) / np.std(history, ddof=1)
    ),
}
