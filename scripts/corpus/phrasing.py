"""Wordings of questions and answers: ``resources/templates/domains/<domain>.yaml`` (``scripts.corpus.questions``)."""

import functools
import string

from scripts.common.errors import StudyError
from scripts.corpus import domains, templates

LEAST = {"prompts": 6, "reserved": 4, "answers": 3}
LEAST_PER_STEP = 2


@functools.cache
def load(domain):
    """The phrasings of a domain by question. Raises StudyError that names what is missing or too few."""
    phrases = templates.load(f"domains/{domain}")
    place = f"resources/templates/domains/{domain}.yaml"
    for question in domains.load(domain).QUESTIONS:
        if question.name not in phrases:
            raise StudyError(f"{place} has no phrasings for the question '{question.name}'")
        own = phrases[question.name]
        for key, least in LEAST.items():
            if len(own.get(key, ())) < least:
                raise StudyError(f"{place}: {question.name} has {len(own.get(key, ()))} {key}, {least} are needed")
        for name, texts in own.get("steps", {}).items():
            if len(texts) < LEAST_PER_STEP:
                raise StudyError(f"{place}: step {name} of {question.name} has one text, {LEAST_PER_STEP} are needed")
    return phrases


def write(question, inputs, solution, phrases, rng, reserved=False):
    """``(prompt, answer, template)``: a question with these inputs and its solution, in words that ``rng`` draws.

    ``phrases``: those of the domain; ``reserved``: the wordings that only benchmarks use; ``template``: the name of the
    prompt's wording. Raises StudyError that names a template and the value that it lacks.
    """
    own, kind = phrases[question.name], "reserved" if reserved else "prompts"
    number = rng.randrange(len(own[kind]))
    where = f"{question.name}/{kind}{number}"
    prompt = _fill(own[kind][number], question.show(inputs), where)
    steps = []
    for step in solution.steps:
        if step.name not in own.get("steps", {}):
            raise StudyError(f"question {question.name} has no text for its step '{step.name}'")
        steps.append(_fill(rng.choice(own["steps"][step.name]), step.values, f"{question.name}/steps/{step.name}"))
    values = {"steps": "\n".join(steps), "answer": solution.text}
    return prompt, _fill(rng.choice(own["answers"]), values | question.show(inputs), f"{question.name}/answers"), where


def _fill(template, values, where):
    names = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    missing = sorted(names - set(values))
    if missing:
        raise StudyError(f"the wording {where} names {', '.join(missing)}, which is not there: {template}")
    return template.format(**values)
