"""Contamination is found as the same text, as a run of words, and as nearly the same text."""

from scripts.corpus import contamination, samples
from tests.corpus.conversations import meta, talk

LIMITS = {"ngram": 13, "max_similarity": 0.8}
QUESTION = (
    "In 2024 a married couple filing jointly has ordinary taxable income of 182,400 dollars; how much federal income "
    "tax is due before credits?"
)


def asked(text, reference="The tax is computed bracket by bracket."):
    return samples.verifiable(
        text, {"kind": "number", "value": 1}, meta("b1", part="benchmark") | {"reference": reference}
    )


def found(training, benchmark=QUESTION, reference="None."):
    return contamination.find([talk(training, "An answer.", "t1")], [asked(benchmark, reference)], **LIMITS)


def test_unrelated_texts_are_clean():
    assert found("What is the annual gift exclusion in 2023?") == {"exact": [], "ngram": [], "similar": []}


def test_the_same_question_but_for_case_and_punctuation():
    shouted = QUESTION.upper().replace(";", " -")
    assert found(shouted)["exact"] == [("benchmark/b1", "made/t1")]


def test_a_run_of_thirteen_words_and_not_of_twelve():
    words = QUESTION.split()
    assert found("Prefix " + " ".join(words[2:17]) + " suffix")["ngram"] == [("benchmark/b1", "made/t1")]
    assert found("Prefix " + " ".join(words[2:12]) + " suffix")["ngram"] == []


def test_a_question_that_stands_in_a_training_answer():
    text = f"As an example: {QUESTION} It is 30,000 dollars."
    clean = contamination.find([talk("Q?", text, "t1")], [asked(QUESTION)], **LIMITS)
    assert clean["ngram"] == [("benchmark/b1", "made/t1")] and not clean["exact"]


def test_nearly_the_same_question():
    near = QUESTION.replace("182,400", "182,401")
    assert contamination.jaccard(contamination.words(near), contamination.words(QUESTION)) > 0.7
    limits = {"ngram": 50, "max_similarity": 0.7}
    assert contamination.find([talk(near, "a", "t1")], [asked(QUESTION)], **limits)["similar"] == [
        ("benchmark/b1", "made/t1")
    ]


def test_jaccard_by_hand():
    first, second = ["a", "b", "c", "d"], ["a", "b", "c", "e"]
    assert contamination.jaccard(first, second) == 1 / 3
