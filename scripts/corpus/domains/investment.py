"""Investment: growth and returns, portfolios and their risk, the value of bonds, shares and options."""

from scripts.corpus.topics import growth, portfolios, valuation

QUESTIONS = (*growth.QUESTIONS, *portfolios.QUESTIONS, *valuation.QUESTIONS)
