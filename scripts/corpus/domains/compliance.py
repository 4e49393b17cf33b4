"""Compliance: margin rules, offerings and ownership, oversight of markets, firms and customers' money."""

from scripts.corpus.topics import margin, offerings, oversight

QUESTIONS = (*margin.QUESTIONS, *offerings.QUESTIONS, *oversight.QUESTIONS)
