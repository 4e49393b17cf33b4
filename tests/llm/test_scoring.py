"""What an answer is worth, and how sure the model was of the words that state it."""

import numpy as np
import pytest

from scripts.corpus import rewards
from scripts.llm import answering, scoring, selective

TAX = {"kind": "number", "value": 1200.0, "tolerance": 0.001, "expected": ["total"], "prohibited": ["guaranteed"]}
YES = {"kind": "choice", "value": "yes", "expected": ["threshold"], "prohibited": ["no risk"]}
TEXT = {"kind": "text", "expected": ["stop", "target"], "prohibited": ["sure thing"]}


@pytest.mark.parametrize(
    ("text", "answer", "ended", "quality"),
    [
        ("10 % of $12,000 = $1,200 in total.\nAnswer: $1,200", TAX, True, 5),
        ("10 % of $12,000 = $1,200 in total.\nAnswer: $1,200", TAX, False, 4),  # it went on until it was cut off
        ("10 % of $12,000 = $1,200.\nAnswer: $1,200", TAX, True, 4),  # an expected word is missing
        ("The total is clear.\nAnswer: $1,200", TAX, True, 4),  # no step
        ("In total, answer = 1200", TAX, True, 4),
        ("The total on 2024-01-05. Answer: 1200", TAX, True, 4),
        ("The total of the 401-2 form, 1/2. Answer: 1200", TAX, True, 4),
        ("In total 12,600 - 11,400. Answer: 1200", TAX, True, 5),
        ("The total is 12,000/10 = 1200", TAX, True, 5),
        ("10 % x 12,000 = 1,200 in total, guaranteed.\nAnswer: 1,200", TAX, True, 3),
        ("The total.\nAnswer: 1,210", TAX, True, 3),  # near
        ("The total.\nAnswer: 1,210, guaranteed", TAX, True, 2),
        ("Answer: 9", TAX, True, 2),
        ("I cannot say.", TAX, True, 1),
        ("", TAX, True, 1),
        ("The amount of $20 is above the threshold of $10, so the answer is yes.", YES, True, 5),
        ("The threshold: yes", YES, True, 4),
        ("The threshold, well well well well well well well well: yes", YES, True, 4),
        ("The amount of $20 is above the threshold of $10, so the answer is yes.", YES, False, 1),  # it was cut off
        ("no", YES, True, 2),
        ("perhaps", YES, True, 1),
        ("A stop and a target.", TEXT, True, 5),
        ("A stop.", TEXT, True, 3),
        ("A stop, a sure thing.", TEXT, True, 2),
        ("Buy.", TEXT, True, 2),
        (" ", TEXT, True, 1),
    ],
)
def test_quality_follows_the_rubric(text, answer, ended, quality):
    judged = scoring.judge(text, answer, ended)
    assert judged["quality"] == quality, scoring.RUBRIC
    assert judged["right"] == (quality >= 3 and "1,210" not in text and text != "A stop.")


def test_exact_asks_for_the_very_number():
    about = scoring.judge("Answer: 1200.4", TAX, True)
    assert (about["right"], about["exact"]) == (1, 0)
    assert scoring.judge("Answer: 1,200", TAX, True)["exact"] == 1


def test_the_span_is_that_of_the_number_that_counts():
    text = "10 % of 12,000 is 1,200.\nAnswer: $1,200 in 2024"
    stated, (start, end) = rewards.statement(text, TAX)
    assert (stated, text[start:end].strip()) == (1200.0, "$1,200")
    stated, (start, end) = rewards.statement("Of 5 and 7", TAX)
    assert (stated, "Of 5 and 7"[start:end].strip()) == (7.0, "7")
    text = "No? Well, yes."
    assert rewards.statement(text, YES) == ("yes", (10, 13))


@pytest.mark.parametrize("text", ["For BUY: the change is above 0, fulfilled. BUY", "BUY: the 20-bar change is", "BUY"])
def test_a_choice_that_was_cut_off_is_no_decision(text):
    answer = {"kind": "choice", "value": "BUY", "choices": ["BUY", "SELL", "HOLD"]}
    ended, cut = (scoring.judge(text, answer, each) for each in (True, False))
    assert (ended["right"], ended["stated"]) == (1, "BUY")
    assert (cut["right"], cut["exact"], cut["reward"], cut["stated"], cut["span"], cut["quality"]) == (
        *(0, 0, 0, None, None),
        1,
    )


class Letters(answering.Answerer):
    """One token a character."""

    def decode(self, ids):
        return "".join(map(chr, ids))


def test_confidence_is_that_of_the_answer_and_not_of_the_words_around_it():
    text = "Answer: 42 it is"
    p = np.full(len(text), 0.1)
    p[8:10] = 0.9, 0.5
    said = answering.Said(text, [ord(each) for each in text], np.log(p), True, 0.0)
    _, (start, end) = rewards.statement(text, TAX)
    found = scoring.confidence(Letters(None, 100, "cpu"), said, (end - 2, end))
    assert found == pytest.approx({"mean": 0.7, "min": 0.5, "joint": 0.45})
    assert scoring.confidence(Letters(None, 100, "cpu"), said._replace(logprobs=None), (8, 10)) is None
    assert scoring.confidence(Letters(None, 100, "cpu"), said, None) is None


def test_a_confidence_that_knows_is_told_from_one_that_does_not():
    rng = np.random.default_rng(5)
    p = rng.random(2000)
    right, groups = (rng.random(2000) < p).astype(int), np.arange(2000)
    knows = selective.calibrate(right, p, groups)
    boasts = selective.calibrate(right, np.full(2000, 0.99), groups)
    assert knows["ece"] < 0.05 < 0.4 < boasts["ece"]
    assert knows["brier"] < knows["brier_of_constant"] < boasts["brier"]
    assert boasts["share"] == right.mean() and boasts["mean_p"] == pytest.approx(0.99)


@pytest.mark.parametrize("rows", [20, 180])
def test_a_calibration_error_stands_beside_that_of_a_calibrated_model(rows):
    """Few answers have an error though every confidence is right; that is said."""
    rng = np.random.default_rng(9)
    p = rng.uniform(0.3, 0.9, rows)
    errors = [selective.calibrate((rng.random(rows) < p).astype(int), p, range(rows))["ece"] for _ in range(200)]
    said = selective.calibrate(np.zeros(rows), p, range(rows))["ece_if_calibrated"]
    assert said["mean"] == pytest.approx(np.mean(errors), rel=0.12) and said["mean"] > 0.05
    assert np.mean(np.array(errors) <= said["high"]) == pytest.approx(0.95, abs=0.04)
    assert said == selective.calibrate(np.ones(rows), p, range(rows))["ece_if_calibrated"]


def test_the_surest_answers_are_counted_first():
    confidence, right = np.linspace(1, 0, 100), np.array([1] * 40 + [0] * 60)
    points = selective.risk_coverage(right, confidence, np.arange(100))["points"]
    assert [round(each["value"], 2) for each in points[:5]] == [1, 1, 1, 1, 0.8]
    assert points[3]["n"] == 40 and points[3]["errors"] == 0
    assert 3 / 40 * 0.9 < points[3]["without_error"]["error_below"] < 3 / 40
    assert points[4]["without_error"] is None
    assert points[-1]["value"] == 0.4


def test_equal_confidences_are_never_torn_apart():
    curve = selective.risk_coverage([1] * 5 + [0] * 5, [0.5] * 10, range(10))
    assert {each["coverage"] for each in curve["points"]} == {1.0}
    assert curve["area"] == 0.5


def test_five_nines_are_not_to_be_had_from_a_hundred_answers():
    said = selective.without_error(100, 20)
    assert said["error_below"] == pytest.approx(0.0295, abs=1e-3)
    assert said["error_below_by_groups"] == pytest.approx(0.139, abs=1e-3)
    assert "299,572 separate right answers" in said["said"]
