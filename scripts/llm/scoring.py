"""How an answer is judged: right or not, its reward, a quality from 1 to 5 by rule, and how sure the model was."""

import re

import numpy as np

from scripts.corpus import rewards

NEAR = 0.05  # a wrong number within 5 % of the right one is near
RUBRIC = {
    "5": "right, with every expected word, no prohibited word, at least one step before the stated answer, and ended "
    "by itself",
    "4": "right and no prohibited word, but one of the others is missing",
    "3": "right with a prohibited word; or wrong but near and no prohibited word: a number within 5 % of the right "
    "one, or a text with at least half of the expected words",
    "2": "an answer in the right form (a number, one of the choices, a text), but wrong",
    "1": "no answer in the right form",
}
MEASURES = {
    "mean": "mean of the probabilities of the tokens that state the answer",
    "min": "smallest of them",
    "joint": "product of them: the probability of the stated answer, given the text before it",
}
# a step of a calculation: an operation between two figures, or an equals sign before one
STEP = re.compile(r"\d[\d,.]*\s*%?\)?\s*[-+*/x×^=]\s*\(?\s*[$€£¥]?\d|=\s*[-$€£¥]*\s*\d")
WORDS = 8  # words before a choice that count as a step


def judge(text, answer, ended):
    """What an answer is worth: a dict with right, exact (0/1), reward, quality, stated, and span.

    ``text``: what was said; ``answer``: as ``scripts.corpus.rewards`` reads it; ``ended``: whether it ended by itself.
    ``span``: the characters that state the answer, ``(start, end)``, or None where it states none.
    """
    stated, span = statement(text, answer)
    right = rewards.is_right(text, answer)
    judged = {"right": int(right), "reward": rewards.reward(text, answer), "stated": stated, "span": span}
    judged["exact"] = int(right and (answer["kind"] != "number" or stated == answer["value"]))
    judged["quality"] = _quality(text, answer, right, ended, stated, span)
    return judged


def statement(text, answer):
    """``(stated, span)``: the number, choice or text that an answer states, and where; (None, None) for none."""
    if answer["kind"] == "number":
        stated = rewards.stated_number(text)
        return (None, None) if stated is None else (stated, _number_span(text))
    if answer["kind"] == "choice":
        choices = answer.get("choices") or rewards._opposites(answer["value"])
        stated = rewards.stated_choice(text, choices)
        return (None, None) if stated is None else (stated, _last_span(stated, text))
    return (text, (0, len(text))) if text.strip() else (None, None)


def confidence(answerer, said, span):
    """``{"mean", "min", "joint"}`` probability of the tokens in ``span``; None where unknown. See ``MEASURES``."""
    if said.logprobs is None or span is None:
        return None
    first, last = answerer.token_range(said.ids, *span)
    own = said.logprobs[first:last]
    if not len(own):
        return None
    return {"mean": float(np.exp(own).mean()), "min": float(np.exp(own.min())), "joint": float(np.exp(own.sum()))}


def _quality(text, answer, right, ended, stated, span):
    if stated is None:
        return 1
    expected = answer.get("expected") or ()
    prohibited = rewards.mentions(text, answer.get("prohibited") or ())
    found = len(rewards.mentions(text, expected))
    if right and not prohibited:
        return 5 if found == len(expected) and ended and _has_step(text, answer, span) else 4
    if right:
        return 3
    return 3 if not prohibited and _near(answer, stated, found, len(expected)) else 2


def _has_step(text, answer, span):
    if answer["kind"] == "text":
        return True
    before = text[: span[0]]
    if answer["kind"] == "number" and STEP.search(text[: span[1]]):
        return True
    return answer["kind"] == "choice" and (len(before.split()) >= WORDS or STEP.search(before) is not None)


def _near(answer, stated, found, expected):
    if answer["kind"] == "number":
        return abs(stated - answer["value"]) <= NEAR * abs(answer["value"])
    return answer["kind"] == "text" and expected > 0 and 2 * found >= expected


def _number_span(text):
    """Where :func:`rewards.stated_number` finds its number."""
    marks = list(rewards.MARK.finditer(text))
    found = rewards.NUMBER.search(text, marks[-1].end()) if marks else None
    found = found or list(rewards.NUMBER.finditer(text))[-1]
    return found.span()


def _last_span(word, text):
    return [each.span() for each in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE)][-1]
