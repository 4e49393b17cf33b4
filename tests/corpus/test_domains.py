"""Every domain, whichever there are: what its questions and wordings promise, and how a mistake in them is named."""

import copy
import random
import re
import string
from collections import Counter

import pytest

from scripts.common.errors import StudyError
from scripts.corpus import domains, phrasing, skeletons, templates
from scripts.corpus.questions import DIFFICULTIES

DOMAINS = domains.available()
QUESTIONS = [(name, each) for name in DOMAINS for each in domains.load(name).QUESTIONS]
of_question = pytest.mark.parametrize(
    ("domain", "question"), QUESTIONS, ids=[f"{name}.{each.name}" for name, each in QUESTIONS]
)
RUN = 13


def fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def runs(text):
    """Runs of words; a drawn value counts as one word, which is the same for all values."""
    words = re.findall(r"\w+", re.sub(r"{\w+}", " drawn ", text.lower()))
    return {tuple(words[place : place + RUN]) for place in range(len(words) - RUN + 1)}


def test_domains_are_those_of_the_corpus_and_others_are_refused():
    wanted = {"retirement_planning", "federal_income_tax", "estate_planning", "investment", "compliance"}
    assert set(DOMAINS) == wanted | {"market_trading"}
    with pytest.raises(StudyError, match="no domain 'astrology'; there are: compliance, estate_planning"):
        domains.load("astrology")


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_has_questions_of_every_difficulty_and_no_wordings_of_others(domain):
    questions = domains.load(domain).QUESTIONS
    counts = Counter(each.difficulty for each in questions)
    assert len(questions) >= 14 and min(counts[each] for each in DIFFICULTIES) >= 3
    assert sorted(each.name for each in questions) == sorted(phrasing.load(domain))


@of_question
def test_every_wording_can_be_written(domain, question):
    own, said = phrasing.load(domain)[question.name], {}
    for seed in range(60):
        inputs = question.draw(random.Random(seed))
        solution = question.solve(inputs)
        assert solution == question.solve(inputs)
        assert len(solution.steps) == question.steps == len({each.name for each in solution.steps})
        for step in solution.steps:
            said.setdefault(step.name, set(step.values)).intersection_update(step.values)
    shown = set(question.show(inputs))
    assert len(own["prompts"]) >= 8 and len(own["reserved"]) >= 4 and len(own["answers"]) >= 3
    assert all(fields(text) == shown for text in own["prompts"] + own["reserved"])
    assert all({"steps", "answer"} <= fields(text) <= {"steps", "answer"} | shown for text in own["answers"])
    assert set(own["steps"]) == set(said), "steps that have texts, and steps that are taken"
    assert all(len(texts) >= 2 for texts in own["steps"].values())
    assert all(fields(text) <= said[name] for name, texts in own["steps"].items() for text in texts)
    for texts in (own["prompts"], own["reserved"], own["answers"], *own["steps"].values()):
        assert len(set(texts)) == len(texts)


def test_reserved_wordings_share_no_run_with_the_prompts_of_any_domain():
    """A benchmark is held against all parts of a corpus, those of other domains included."""
    wordings = [each for name in DOMAINS for each in phrasing.load(name).values()]
    known = set().union(*(runs(text) for own in wordings for text in own["prompts"]))
    assert len(known) > 1_000
    assert [text for own in wordings for text in own["reserved"] if runs(text) & known] == []


@pytest.mark.parametrize("domain", DOMAINS)
def test_texts_are_varied_when_names_and_numbers_are_masked(domain):
    questions, phrases, found = domains.load(domain).QUESTIONS, phrasing.load(domain), Counter()
    for number in range(2_000):
        question, rng = questions[number % len(questions)], random.Random(f"{domain} {number}")
        inputs = question.draw(rng)
        prompt, answer, _ = phrasing.write(question, inputs, question.solve(inputs), phrases, rng)
        found[skeletons.mask(f"{prompt}\n{answer}", [inputs[name] for name in question.names])] += 1
    assert len(found) >= 40 and max(found.values()) <= 0.05 * 2_000


@pytest.fixture
def spoiled(monkeypatch):
    """A function that changes a copy of the wordings of retirement planning and loads it."""

    def load(change):
        content = copy.deepcopy(phrasing.load("retirement_planning"))
        change(content)
        monkeypatch.setattr(templates, "load", lambda name: content)
        return phrasing.load.__wrapped__("retirement_planning")

    return load


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda all: all.pop("pot_life"), "retirement_planning.yaml has no phrasings for the question 'pot_life'"),
        (lambda all: all["pot_life"]["reserved"].pop(), "pot_life has 3 reserved, 4 are needed"),
        (lambda all: all["pot_life"].pop("answers"), "pot_life has 0 answers, 3 are needed"),
        (lambda all: all["pot_life"]["steps"]["left"].pop(), "step left of pot_life has one text, 2 are needed"),
    ],
)
def test_what_wordings_lack_is_named(spoiled, change, message):
    with pytest.raises(StudyError, match=re.escape(message)):
        spoiled(change)


def rename_salary(own):
    own["prompts"] = [text.replace("{salary}", "{wages}") for text in own["prompts"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename_salary, r"wording employer_match/prompts\d names wages, which is not there"),
        (lambda own: own.update(answers=["{steps} {answr}"] * 3), "employer_match/answers names answr, which is not"),
        (lambda own: own["steps"].update(match=["{rte}"] * 2), "employer_match/steps/match names rte, which is not"),
        (lambda own: own["steps"].pop("match"), "question employer_match has no text for its step 'match'"),
    ],
)
def test_a_value_that_a_wording_lacks_is_named(spoiled, change, message):
    question = next(each for each in domains.load("retirement_planning").QUESTIONS if each.name == "employer_match")
    phrases = spoiled(lambda all: change(all["employer_match"]))
    inputs = question.draw(random.Random(1))
    with pytest.raises(StudyError, match=message):
        phrasing.write(question, inputs, question.solve(inputs), phrases, random.Random(1))
