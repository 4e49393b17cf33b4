"""Skeletons: a sample's text with its names and numbers masked, which shows how few texts there really are."""

import re

from scripts.corpus.samples import answers_of, prompt_of

NUMBER = re.compile(r"[-+]?[$€£¥]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")
# tickers and the like, whether the sample names them or not
CAPITALS = re.compile(r"\b[A-Z][A-Z0-9_]{2,}\b")
DECISIONS = re.compile(r"\b(?:buy|sell|hold|long|short|approve|veto|flat)(?:s|ing)?\b", re.IGNORECASE)
SPACE = re.compile(r"\s+")


def mask(text, names=()):
    """``text`` with names as ``@`` and numbers as ``#``; words in capitals count as names."""
    known = sorted({name for name in names if name}, key=len, reverse=True)
    if known:
        text = re.sub(r"(?<!\w)(?:" + "|".join(map(re.escape, known)) + r")(?!\w)", "@", text)
    return SPACE.sub(" ", NUMBER.sub("#", CAPITALS.sub("@", text))).strip()


def mask_decision(text, names=()):
    """:func:`mask`, and the words of a decision as ``?``."""
    return mask(DECISIONS.sub("?", text), names)


def skeleton(sample):
    """The masked text of a sample, question and answers together."""
    return mask("\n".join([prompt_of(sample), *answers_of(sample)]), sample["meta"]["names"])


def measure(samples):
    """How many skeletons samples have, how many masked answers, and the most common skeleton with its share.

    Answers are counted by themselves as well: long and varied questions must not hide that they are few.
    """
    counts, answers = {}, set()
    for sample in samples:
        text = skeleton(sample)
        counts[text] = counts.get(text, 0) + 1
        answers.add(mask("\n".join(answers_of(sample)), sample["meta"]["names"]))
    text, largest = max(counts.items(), key=lambda item: item[1], default=("", 0))
    return {
        "samples": len(samples),
        "skeletons": len(counts),
        "answers": len(answers),
        "largest": largest,
        "largest_share": largest / len(samples) if samples else 0.0,
        "most_common": text[:300],
    }
