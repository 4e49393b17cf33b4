"""Rule-based rewards: how right a completion is, decided by its last stated answer and nothing else.

``answer`` is ``{"kind": "number", "value", "tolerance", "unit"}``, ``{"kind": "choice", "value"}`` or ``{"kind":
"text", "expected", "prohibited"}``; numbers and choices may have ``expected`` and ``prohibited`` words as well.
"""

import re

# an answer is what follows the last "answer" or "result", or else the last number of the text
MARK = re.compile(r"(?:answer|result)(?:\s+is)?\s*[:=]?\s*", re.IGNORECASE)
NUMBER = re.compile(r"[-+\u2212]?\s?[$€£¥]?\s?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")


def reward(completion, answer, ended=True):
    """A number in [0, 1]: 1 for the right answer and all expected words, 0 for a wrong answer or a prohibited word.

    A right answer without some of the expected words gets the share of those it has, at least one half. ``ended``: as
    :func:`statement` reads it.
    """
    expected = answer.get("expected", ())
    share = len(mentions(completion, expected)) / len(expected) if expected else 1.0
    if mentions(completion, answer.get("prohibited", ())):
        return 0.0
    if answer["kind"] == "text":
        return share
    return max(0.5, share) if is_right(completion, answer, ended) else 0.0


def is_right(completion, answer, ended=True):
    """Whether the stated number or choice is the right one; for texts, whether all expected words are there."""
    if answer["kind"] == "text":
        return len(mentions(completion, answer["expected"])) == len(answer["expected"])
    stated, _ = statement(completion, answer, ended)
    if stated is None or answer["kind"] == "choice":
        return stated == answer["value"]
    return abs(stated - answer["value"]) <= answer["tolerance"] * max(abs(answer["value"]), 1e-9)


def statement(completion, answer, ended=True):
    """``(stated, span)``: the number, choice or text that a completion states, and where; (None, None) for none.

    ``ended``: whether it ended by itself. One that was cut off has chosen nothing yet: the choices that it names so far
    are those that it weighs.
    """
    if answer["kind"] == "number":
        found = _last_number(completion)
        return (_value(found[0]), found.span()) if found else (None, None)
    if answer["kind"] == "choice":
        return _last_choice(completion, choices_of(answer)) if ended else (None, None)
    return (completion, (0, len(completion))) if completion.strip() else (None, None)


def stated_number(completion):
    """The number that a completion states as its answer, or None: the first after the last mark, else the last."""
    found = _last_number(completion)
    return _value(found[0]) if found else None


def stated_choice(completion, choices):
    """The one of ``choices`` that a completion states last, or None; choices in capitals count in capitals only.

    The verb "hold" is not the decision HOLD.
    """
    return _last_choice(completion, choices)[0]


def mentions(completion, words):
    """Those of ``words`` that a completion contains, case aside, as whole words."""
    return [each for each in words if re.search(rf"(?<!\w){re.escape(each)}(?!\w)", completion, re.IGNORECASE)]


def choices_of(answer):
    """The choices that an answer lists, or else the words that compete with its value."""
    if answer.get("choices"):
        return answer["choices"]
    pairs = ({"yes", "no"}, {"BUY", "SELL", "HOLD"}, {"true", "false"}, {"higher", "lower", "equal"})
    return sorted(next((pair for pair in pairs if answer["value"] in pair), {answer["value"]}))


def _last_number(text):
    marks = list(MARK.finditer(text))
    found = NUMBER.search(text, marks[-1].end()) if marks else None
    return found or max(NUMBER.finditer(text), key=re.Match.start, default=None)


def _last_choice(text, choices):
    found = [
        (each.start(), choice, each.span())
        for choice in choices
        for each in re.finditer(rf"(?<!\w){re.escape(choice)}(?!\w)", text, 0 if choice.isupper() else re.IGNORECASE)
    ]
    return max(found)[1:] if found else (None, None)


def _value(text):
    return float(re.sub(r"[\s,$€£¥]", "", text).replace("\u2212", "-"))
