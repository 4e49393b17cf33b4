"""Estate planning: gifts and their exclusions, the federal estate tax, transfers to grandchildren, shares of heirs."""

from scripts.corpus.topics import estates, gifts

QUESTIONS = (*gifts.QUESTIONS, *estates.QUESTIONS)
