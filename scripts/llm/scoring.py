"""How an answer is judged: right or not, its reward, a quality from 1 to 5 by rule, and how sure the model was."""

import re

import numpy as np

from scripts.corpus import rewards

NEAR = 0.05  # a wrong number within 5 % of the right one is near
RUBRIC = {
    "5": "right, with every expected word, no prohibited word, at least one step before the stated answer (an "
    "operation or equation between two figures; for a choice also at least 8 different words), and ended by itself",
    "4": "right and no prohibited word, but one of the others is missing",
    "3": "right with a prohibited word; or wrong but near and no prohibited word: a number within 5 % of the right "
    "one, or a text with at least half of the expected words",
    "2": "an answer in the right form (a number, one of the choices, a text), but wrong",
    "1": "no answer in the right form; a choice that was cut off before it ended by itself is none",
}
MEASURES = {
    "mean": "mean of the probabilities of the tokens that state the answer",
    "min": "smallest of them",
    "joint": "product of them: the probability of the stated answer, given the text before it",
}
# a step of a calculation: an operation or an equals sign between two figures; dates and names of forms have "-" and "/"
STEP = re.compile(r"\d[\d,.]*\s*%?\)?(?:\s*[+*x×^=]\s*|\s+[-\u2212/]\s+)\(?\s*[-\u2212]?[$€£¥]?\d")
WORDS = 8  # different words before a choice that count as a step


def judge(text, answer, ended):
    """What an answer is worth: a dict with right, exact (0/1), reward, quality, stated, and span.

    ``text``: what was said; ``answer``: as ``scripts.corpus.rewards`` reads it; ``ended``: whether it ended by itself.
    ``span``: the characters that state the answer, ``(start, end)``, or None where it states none.
    """
    stated, span = rewards.statement(text, answer, ended)
    right = rewards.is_right(text, answer, ended)
    judged = {"right": int(right), "reward": rewards.reward(text, answer, ended), "stated": stated, "span": span}
    judged["exact"] = int(right and (answer["kind"] != "number" or stated == answer["value"]))
    judged["quality"] = _quality(text, answer, right, ended, stated, span)
    return judged


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
    if STEP.search(text[: span[1]]):
        return True
    return answer["kind"] == "choice" and len(set(text[: span[0]].lower().split())) >= WORDS


def _near(answer, stated, found, expected):
    if answer["kind"] == "number":
        return abs(stated - answer["value"]) <= NEAR * abs(answer["value"])
    return answer["kind"] == "text" and expected > 0 and 2 * found >= expected
