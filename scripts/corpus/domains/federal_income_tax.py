"""Federal income tax of the United States: income tax, gains, credits and payroll taxes of individuals."""

from scripts.corpus.topics import income_tax, payroll_taxes

QUESTIONS = (*income_tax.QUESTIONS, *payroll_taxes.QUESTIONS)
