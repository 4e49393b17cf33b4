"""Series of prices: realised volatility and the distance of a spread from its mean.

Standard deviations divide by n - 1.
"""

import math

from scripts.corpus.figures import Input, cents, listed, numbers, percent, plain, question, several

DAYS = 252  # trading days of a year


def _realised_volatility(closes):
    returns = [100 * math.log(after / before) for before, after in zip(closes, closes[1:], strict=False)]
    mean, squares, deviation = _moments(returns)
    value = deviation * math.sqrt(DAYS)
    said = {"returns": listed(percent(each, 4) for each in returns), "mean": percent(mean, 4)}
    said |= {"squares": plain(squares, 4), "deviation": percent(deviation, 4)}
    return value, "%", ("returns", "mean", "squares", "deviation", "annual"), said


def _spread_score(first, second, hedge, history):
    spread = round(first - hedge * second, 4)
    mean, squares, deviation = _moments(history)
    value = (spread - mean) / deviation
    said = {"spread": plain(spread, 4), "mean": plain(mean, 4), "squares": plain(squares, 4)}
    said |= {"deviation": plain(deviation, 4), "gap": plain(spread - mean, 4)}
    return value, "", ("spread", "mean", "squares", "deviation", "score"), said


def _moments(values):
    """Mean, sum of squared deviations and standard deviation."""
    mean = sum(values) / len(values)
    squares = sum((each - mean) ** 2 for each in values)
    return mean, squares, math.sqrt(squares / (len(values) - 1))


def _closes(rng, drawn):
    close, size = rng.uniform(20, 300), rng.uniform(0.005, 0.03)
    closes = [round(close, 2)]
    for _ in range(5):
        closes.append(round(closes[-1] * math.exp(rng.gauss(0, size)), 2))
    return closes


QUESTIONS = (
    question(
        "realised_volatility",
        5,
        _realised_volatility,
        lambda closes: 4 < _realised_volatility(closes)[0] < 90,
        closes=Input(_closes, lambda values: listed(map(cents, values))),
    ),
    question(
        "spread_score",
        5,
        _spread_score,
        lambda first, second, hedge, history: (
            max(history) - min(history) > 2 and 0.3 < abs(_spread_score(first, second, hedge, history)[0]) < 4
        ),
        first=numbers(60, 90),
        second=numbers(40, 60),
        hedge=numbers(0.8, 1.2),
        history=several(5, numbers(17, 33)),
    ),
)
