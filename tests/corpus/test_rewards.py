"""Rewards follow the stated answer: right, wrong, missing, hedged."""

import pytest

from scripts.corpus.rewards import is_right, reward, stated_choice, stated_number, statement

NUMBER = {"kind": "number", "value": 1250.0, "tolerance": 0.001, "unit": "USD"}


@pytest.mark.parametrize(
    "text, value",
    [
        ("1000 + 250 = 1250", 1250),
        ("The answer is $1,250.00.", 1250),
        ("Answer: 1,250 dollars, from 1000 and 250", 1250),
        ("-0.5 %", -0.5),
        ("It is \u22123.2e-4", -3.2e-4),
        ("no number at all", None),
    ],
)
def test_stated_numbers(text, value):
    assert stated_number(text) == value


@pytest.mark.parametrize(
    "text, points",
    [
        ("Answer: 1,250.9", 1.0),
        ("Answer: 1,252", 0.0),
        ("Answer: 1250 or 900", 1.0),
        ("1250? No: answer 900", 0.0),
        ("", 0.0),
    ],
)
def test_numbers(text, points):
    assert reward(text, NUMBER) == points


def test_choices_count_the_last_one_said():
    answer = {"kind": "choice", "value": "BUY"}
    assert reward("Not SELL. I BUY.", answer) == 1
    assert reward("BUY looks good, but SELL.", answer) == 0
    assert reward("nothing", answer) == 0
    assert not is_right("yes, well, no", {"kind": "choice", "value": "yes"})
    assert is_right("Yes", {"kind": "choice", "value": "yes"})


def test_choices_in_capitals_are_not_the_words_of_a_sentence():
    answer = {"kind": "choice", "value": "BUY"}
    assert reward("The decision is BUY, since all of its conditions hold.", answer) == 1
    assert reward("I would buy.", answer) == 0 and reward("Both sides hold: nothing to sell.", answer) == 0
    assert stated_choice("Hold on. The conditions of SELL do not hold.", ["BUY", "SELL", "HOLD"]) == "SELL"


def test_an_answer_that_was_cut_off_has_not_chosen():
    answer = {"kind": "choice", "value": "BUY"}
    assert reward("BUY: the change is", answer, ended=False) == 0
    assert not is_right("BUY: the change is", answer, ended=False)
    assert reward("Answer: 1250, which is", NUMBER, ended=False) == 1  # a number that is stated is stated


def test_a_statement_is_where_it_stands():
    text = "It is 5, and = 7 is no mark. Result: 1250 of 9"
    value, (start, end) = statement(text, NUMBER)
    assert value == 1250 and text[start:end].strip() == "1250"
    assert statement("none", NUMBER) == (None, None)


def test_expected_and_prohibited_words():
    answer = NUMBER | {"expected": ["standard deduction", "bracket"], "prohibited": ["guaranteed"]}
    assert reward("After the standard deduction, bracket by bracket: 1250", answer) == 1
    assert reward("After the standard deduction: 1250", answer) == 0.5
    assert reward("Guaranteed 1250 after the standard deduction in each bracket", answer) == 0
    words = {"kind": "text", "expected": ["risk", "return"], "prohibited": []}
    assert reward("more risk", words) == 0.5 and not is_right("more risk", words)
    assert is_right("Risk and return.", words)


def test_a_word_inside_another_does_not_count():
    assert reward("brackets everywhere 1250", NUMBER | {"expected": ["bracket"], "prohibited": []}) == 0.5
