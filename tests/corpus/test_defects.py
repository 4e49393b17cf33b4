"""What is wrong with a sample is found and named; what is right stays."""

import pytest

from scripts.corpus import defects
from tests.corpus.conversations import CHECKS, pair, talk

GOOD = "The Sharpe ratio is 1.25 = 0.10 / 0.08, see \\frac{r}{\\sigma} and \\text{per year}."


def reasons(*samples):
    return defects.find(list(samples), CHECKS)


def test_good_samples_stay():
    assert (
        reasons(
            talk("What is it?", GOOD), talk("什么是夏普比率?", "夏普比率是超额收益与波动率之比。", "2", language="zh")
        )
        == {}
    )


@pytest.mark.parametrize(
    "answer, reason",
    [
        ("", "empty text"),
        ("x" * 9000, "longer than 8000 characters"),
        ("cafe\u0301 au lait", "not in Unicode form NFC"),
        ("a\x00b", "control or replacement characters"),
        ("broken \ufffd text", "control or replacement characters"),
        ("see https://bucket.s3.amazonaws.com/web/x", "URL"),
        ("key AKIAABCDEFGHIJKLMNOP here", "secret or e-mail address"),
        ("mail me: jane.doe@example.org", "secret or e-mail address"),
        ("timestamp: .6f", "placeholder that was not filled"),
        ("stop at {entry_price}", "placeholder that was not filled"),
        ("夏普比率是超额收益与波动率之比。", "language zh, declared en"),
    ],
)
def test_each_defect_is_named(answer, reason):
    sample = talk("What is it?", "x")
    sample["messages"][-1]["content"] = answer
    assert reason in reasons(sample)[0]


@pytest.mark.parametrize(
    "text",
    [
        "(Note: This would have been WRONG - price actually went UP)",
        "The target was hit two days later.",
        "In hindsight the breakout failed.",
        "The next bar closed higher.",
        "The actual outcome was a gain.",
    ],
)
def test_texts_that_tell_the_outcome(text):
    assert reasons(pair("BUY or SELL?", "BUY. It is above its mean.", f"SELL. {text}")) == {0: ["tells the outcome"]}
    assert reasons(talk("BUY or SELL?", f"BUY. {text}", kind="trades")) == {0: ["tells the outcome"]}
    # a text on formulas or law may say so
    assert reasons(talk("What happened in 1987?", text, kind="formulas")) == {}


def test_later_copies_are_duplicates_and_contradictions_are_all_wrong():
    found = reasons(
        talk("Same?", "yes", "1"), talk("Other?", "one", "2"), talk("Same?", "yes", "3"), talk("Other?", "two", "4")
    )
    assert found == {1: ["same question, another answer"], 2: ["duplicate"], 3: ["same question, another answer"]}


def test_defective_rows_keep_their_own_reason():
    assert reasons({"defect": "no JSON object", "row": {}, "meta": talk("q", "a")["meta"]}) == {0: ["no JSON object"]}


def test_language_by_share_of_characters():
    assert defects.language("Guotai Junan (国泰君安) published 191 factors in a long English sentence about them.") in (
        "en",
        "mixed",
    )
    assert defects.language("因子 factor 中文") == "mixed"
    assert defects.language("12.5 %") == "en"
