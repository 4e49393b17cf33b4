"""Retirement planning: contributions and what they grow to, withdrawals, and the age at which to claim benefits."""

from scripts.corpus.topics import contributions, withdrawals

QUESTIONS = (*contributions.QUESTIONS, *withdrawals.QUESTIONS)
