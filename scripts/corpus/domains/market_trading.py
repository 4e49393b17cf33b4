"""Market and trading: position size and margin, results and costs of trades, series of prices."""

from scripts.corpus.topics import positions, series, trades

QUESTIONS = (*positions.QUESTIONS, *trades.QUESTIONS, *series.QUESTIONS)
