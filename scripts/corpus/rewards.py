"""Rule-based rewards: how right a completion is, decided by its last stated answer and nothing else.

``answer`` is ``{"kind": "number", "value", "tolerance", "unit"}``, ``{"kind": "choice", "value"}`` or ``{"kind":
"text", "expected", "prohibited"}``; numbers and choices may have ``expected`` and ``prohibited`` words as well.
"""

import re

# an answer is what follows the last "answer", or "=", or else the last number of the text
MARK = re.compile(r"(?:answer|result)(?:\s+is)?\s*[:=]?\s*", re.IGNORECASE)
NUMBER = re.compile(r"[-+\u2212]?\s?[$€£¥]?\s?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")


def reward(completion, answer):
    """A number in [0, 1]: 1 for the right answer and all expected words, 0 for a wrong answer or a prohibited word.

    A right answer without some of the expected words gets the share of those it has, at least one half.
    """
    expected = answer.get("expected", ())
    share = len(mentions(completion, expected)) / len(expected) if expected else 1.0
    if mentions(completion, answer.get("prohibited", ())):
        return 0.0
    if answer["kind"] == "text":
        return share
    return max(0.5, share) if _score(completion, answer) else 0.0


def is_right(completion, answer):
    """Whether the stated number or choice is the right one; for texts, whether all expected words are there."""
    return _score(completion, answer) == 1


def stated_number(completion):
    """The number that a completion states as its answer, or None: the first after the last mark, else the last."""
    marks = list(MARK.finditer(completion))
    if marks:
        found = NUMBER.search(completion, marks[-1].end())
        if found:
            return _value(found[0])
    found = NUMBER.findall(completion)
    return _value(found[-1]) if found else None


def stated_choice(completion, choices):
    """The one of ``choices`` that a completion states last, or None."""
    places = {each: _last(each, completion) for each in choices}
    known = {each: place for each, place in places.items() if place >= 0}
    return max(known, key=known.get) if known else None


def mentions(completion, words):
    """Those of ``words`` that a completion contains, case aside, as whole words."""
    return [each for each in words if re.search(rf"(?<!\w){re.escape(each)}(?!\w)", completion, re.IGNORECASE)]


def _score(completion, answer):
    if answer["kind"] == "number":
        stated = stated_number(completion)
        allowed = answer["tolerance"] * max(abs(answer["value"]), 1e-9)
        return float(stated is not None and abs(stated - answer["value"]) <= allowed)
    if answer["kind"] == "choice":
        return float(stated_choice(completion, answer.get("choices") or _opposites(answer["value"])) == answer["value"])
    return float(len(mentions(completion, answer["expected"])) == len(answer["expected"]))


def _opposites(value):
    """The words that compete with a choice where the answer does not list them."""
    pairs = ({"yes", "no"}, {"BUY", "SELL", "HOLD"}, {"true", "false"}, {"higher", "lower", "equal"})
    return sorted(next((pair for pair in pairs if value in pair), {value}))


def _last(word, text):
    found = [each.start() for each in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE)]
    return found[-1] if found else -1


def _value(text):
    return float(re.sub(r"[\s,$€£¥]", "", text).replace("\u2212", "-"))
