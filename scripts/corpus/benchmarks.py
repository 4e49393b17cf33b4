"""Benchmarks: questions that training never meets, with the exact answer and a rubric of words."""

import itertools

from scripts.common.errors import StudyError
from scripts.corpus import asking, domains, phrasing, samples

# relative: what rounding of a printed answer explains, and no more
TOLERANCE = 0.001


def identity(sample):
    """What a sample of kind ``domain`` asks: its question and inputs, however worded."""
    return asking.identify(sample["meta"]["question"], sample["meta"]["inputs"])


def questions(domain, number, seed, taken=()):
    """``number`` verifiable samples of a domain in reserved phrasings, the domain's questions taking turns.

    ``taken``: identities (:func:`identity`) that must not be asked again. Raises StudyError when there are not so
    many questions.
    """
    phrases, choices = phrasing.load(domain), domains.load(domain).QUESTIONS
    endless = asking.ask(choices, phrases, seed, f"benchmark/{domain}", set(taken), reserved=True)
    asked = list(itertools.islice(endless, number))
    if len(asked) < number:
        raise StudyError(f"the benchmark of {domain} has {len(asked)} questions and {number} are asked for")
    return [_sample(each, domain, phrases) for each in asked]


def _sample(asked, domain, phrases):
    """What is asked, what a right answer is, and the words that it must and must not have."""
    rubric = {key: list(phrases[asked.question.name].get(key, ())) for key in ("expected", "prohibited")}
    solution = asked.solution
    answer = {"kind": "choice", "value": solution.value}
    if solution.unit != "choice":
        answer = {"kind": "number", "value": solution.value, "tolerance": TOLERANCE, "unit": solution.unit}
    meta = asked.meta("benchmark", "benchmark", domain) | {"reference": asked.answer}
    return samples.verifiable(asked.prompt, answer | rubric, meta)
