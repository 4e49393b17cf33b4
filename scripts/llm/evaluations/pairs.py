"""Preference accuracy: of two answers to one prompt, is the chosen one the likelier?"""

from scripts.corpus import samples
from scripts.llm import chats, evaluations

FILE = True
FIGURES = {
    "accuracy": evaluations.Figure("right", binary=True),
    "first_token": evaluations.Figure("first_right", binary=True),
    "margin": evaluations.Figure("margin"),
}


def evaluate(answerer, path, settings, context):
    """Margins in nats: see the package's docstring.

    ``margin``: log p(chosen) - log p(rejected), given the prompt; ``first_margin``: the same of the first token on
    which the two differ.
    """
    asked = evaluations.select(samples.read(path), parts=settings["parts"], number=settings["samples"])
    both, too_long = encode(answerer, asked)
    found = answerer.prefer([pair for _, pair in both])
    rows = [_row(sample, each) for (sample, _), each in zip(both, found, strict=True)]
    unknown = "llama.cpp gives log-probabilities one request a token: only the first token that differs is compared"
    body = {"too_long": too_long, "reason": None if answerer.exhaustive else unknown}
    return body | {"notes": _notes([sample for sample, _ in both])}, rows


def _notes(asked):
    """``{part: {"notes", "tones"}}``: how many different notes and tones the questions of a part have, if any."""
    known = {}
    for sample in asked:
        if tone := evaluations.tone_of(sample["meta"]):
            known.setdefault(sample["meta"]["part"], []).append((tone, sample["meta"]["note"]["frame"]))
    return {
        part: {"notes": len(set(each)), "tones": len({tone for tone, _ in each})}
        for part, each in sorted(known.items())
    }


def encode(answerer, asked):
    """``(kept, too_long)``: ``(sample, (chosen ids, rejected ids))`` where they fit the context, the others' names."""
    kept, too_long = [], []
    for sample in asked:
        answers = (sample[side][-1]["content"] for side in ("chosen", "rejected"))
        pair = tuple(chats.encode(answerer.tokenizer, sample["prompt"], answer)[0] for answer in answers)
        if max(map(len, pair)) > answerer.context:
            too_long.append(sample["meta"]["id"])
        else:
            kept.append((sample, pair))
    return kept, too_long


def _row(sample, preference):
    meta = sample["meta"]
    first = float(preference.first[0] - preference.first[1])
    margin = None if preference.whole is None else float(preference.whole[0] - preference.whole[1])
    return {
        "id": meta["id"],
        "group": evaluations.group_of(meta),
        "tone": evaluations.tone_of(meta),
        "part": meta["part"],
        "prompt": None,  # nothing was said: the sample is in the corpus
        "answer": None,
        "expected": None,
        "score": first if margin is None else margin,
        "margin": margin,
        "first_margin": first,
        "right": None if margin is None else int(margin > 0),
        "first_right": int(first > 0),
    }
