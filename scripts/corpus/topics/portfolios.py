"""Portfolios: mean and variance of mixtures, reward for risk, the capital asset pricing model.

Returns, weights and standard deviations are numbers of percent; betas and correlations have no unit. Sources: Markowitz
(1952), Portfolio Selection; Sharpe (1964), Capital Asset Prices; Jensen (1968), The Performance of Mutual Funds.
"""

import math

from scripts.corpus.figures import Input, amounts, dollars, listed, numbers, percent, plain, question, rates, several


def _sharpe_ratio(gain, free, deviation):
    return (gain - free) / deviation, "", ("divide",), {"excess": percent(gain - free)}


def _capm_return(free, beta, market):
    return free + beta * (market - free), "%", ("price_risk",), {"premium": percent(market - free)}


def _two_asset_volatility(share, first, second, correlation):
    a, b = share * first / 10_000, (100 - share) * second / 10_000
    own, cross = a * a + b * b, 2 * a * b * correlation
    said = {"own": plain(own, 6), "cross": plain(cross, 6), "variance": plain(own + cross, 6)}
    return math.sqrt(own + cross) * 100, "%", ("variance", "root"), said | {"rest": percent(100 - share)}


def _portfolio_return(amounts, betas, free, premium):
    beta = sum(amount * each for amount, each in zip(amounts, betas, strict=True)) / sum(amounts)
    return free + beta * premium, "%", ("beta", "required"), {"beta": plain(beta, 4)}


def _information_ratio(gain, benchmark, error):
    return (gain - benchmark) / error, "", ("active", "divide"), {"active": percent(gain - benchmark)}


def _rebalancing_trade(stocks, bonds, cash, target):
    total = stocks + bonds + cash
    wanted = total * target / 100
    said = {"total": dollars(total), "wanted": dollars(wanted), "side": "bought" if wanted > stocks else "sold"}
    return abs(wanted - stocks), "USD", ("total", "wanted", "trade"), said


def _sortino_ratio(returns, target):
    mean = sum(returns) / len(returns)
    squares = sum(min(each - target, 0.0) ** 2 for each in returns)
    downside = math.sqrt(squares / len(returns))
    said = {"mean": percent(mean), "squares": plain(squares, 4), "downside": percent(downside)}
    said["excess"] = percent(mean - target)
    return (mean - target) / downside, "", ("mean", "shortfalls", "downside", "ratio"), said


def _jensen_alpha(gain, free, beta, market):
    required = free + beta * (market - free)
    said = {"premium": percent(market - free), "required": percent(required, 4)}
    return gain - required, "%", ("premium", "required", "alpha"), said


def _three_asset_sharpe(shares, gains, deviations, correlations, free):
    mean = sum(share * gain for share, gain in zip(shares, gains, strict=True)) / 100
    a, b, c = (share * each / 10_000 for share, each in zip(shares, deviations, strict=True))
    own = a * a + b * b + c * c
    cross = 2 * (a * b * correlations[0] + a * c * correlations[1] + b * c * correlations[2])
    deviation = math.sqrt(own + cross) * 100
    said = {"mean": percent(mean), "own": plain(own, 6), "cross": plain(cross, 6), "deviation": percent(deviation)}
    said |= {"variance": plain(own + cross, 6), "excess": percent(mean - free)}
    return (mean - free) / deviation, "", ("mean", "own", "cross", "deviation", "ratio"), said


def _three_shares(rng, drawn):
    first, second = rng.randint(15, 55), rng.randint(10, 40)
    return [first, second, 100 - first - second]


QUESTIONS = (
    question(
        "sharpe_ratio",
        1,
        _sharpe_ratio,
        lambda gain, free, deviation: gain > free + 1,
        gain=rates(3, 22),
        free=rates(0.25, 5.5),
        deviation=rates(4, 32),
    ),
    question("capm_return", 1, _capm_return, free=rates(0.5, 5.5), beta=numbers(0.3, 2.2), market=rates(6, 13)),
    question(
        "two_asset_volatility",
        2,
        _two_asset_volatility,
        share=rates(10, 90),
        first=rates(10, 32),
        second=rates(3, 18),
        correlation=numbers(-0.5, 0.9),
    ),
    question(
        "portfolio_return",
        2,
        _portfolio_return,
        amounts=several(3, amounts(2_000, 90_000, 500)),
        betas=several(3, numbers(0.2, 2.1)),
        free=rates(0.5, 5.5),
        premium=rates(3.5, 7.5),
    ),
    question(
        "information_ratio",
        2,
        _information_ratio,
        lambda gain, benchmark, error: 0.2 < abs(gain - benchmark) < 2.5 * error,
        gain=rates(-6, 19),
        benchmark=rates(-5, 16),
        error=rates(1.2, 9),
    ),
    question(
        "rebalancing_trade",
        3,
        _rebalancing_trade,
        lambda stocks, bonds, cash, target: abs(stocks / (stocks + bonds + cash) - target / 100) > 0.02,
        stocks=amounts(20_000, 600_000, 250),
        bonds=amounts(10_000, 400_000, 250),
        cash=amounts(1_000, 60_000, 250),
        target=Input(lambda rng, drawn: rng.randint(20, 85), "{} %".format),
    ),
    question(
        "sortino_ratio",
        4,
        _sortino_ratio,
        lambda returns, target: min(returns) < target - 3 and abs(sum(returns) / 5 - target) > 0.5,
        returns=several(5, rates(-18, 26)),
        target=rates(0, 5),
    ),
    question(
        "jensen_alpha",
        3,
        _jensen_alpha,
        lambda gain, free, beta, market: 0.4 < abs(gain - free - beta * (market - free)) < 9,
        gain=rates(-4, 20),
        free=rates(0.5, 5.5),
        beta=numbers(0.4, 1.8),
        market=rates(-3, 16),
    ),
    question(
        "three_asset_sharpe",
        5,
        _three_asset_sharpe,
        lambda shares, gains, deviations, correlations, free: min(gains) > free,
        shares=Input(_three_shares, lambda values: listed(f"{each} %" for each in values)),
        gains=several(3, rates(3, 14)),
        deviations=several(3, rates(4, 28)),
        correlations=several(3, numbers(0, 0.6)),
        free=rates(0.5, 3),
    ),
)
