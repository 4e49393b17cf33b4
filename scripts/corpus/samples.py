"""Samples of a corpus: their three formats, their metadata, and jsonl files of them.

``messages``     ``{"messages": [...], "meta": {...}}``                       for SFT
``preferences``  ``{"prompt": [...], "chosen": [...], "rejected": [...], "meta": {...}}``   for DPO
``prompts``      ``{"prompt": [...], "answer": {...}, "meta": {...}}``        for GRPO and benchmarks

``meta`` always has: id, part, kind, domain, difficulty, language, template, entity, group, time, t1, names.
``group`` names what must not be in two splits (a period, a formula, a phrasing); ``time`` and ``t1`` are the ISO stamps
of a market row and of the end of its label, or null; ``names`` are the words that skeletons mask beside numbers.
"""

import json
import random
import unicodedata
from pathlib import Path

from scripts.common.atomic import write_text

FORMATS = ("messages", "preferences", "prompts")
SPLITS = ("train", "validation", "test")
META = ("id", "part", "kind", "domain", "difficulty", "language", "template", "entity", "group", "time", "t1", "names")


def meta(part, kind, key, *, domain, difficulty, template, entity, group, names=(), language="en", time=None, t1=None):
    """The metadata of a sample; ``key`` (text) tells it from all others of its part."""
    values = (f"{part}/{key}", part, kind, domain, difficulty, language, template, entity, group, time, t1, list(names))
    return dict(zip(META, values, strict=True))


def conversation(prompt, answer, meta):
    """A sample of format ``messages`` with one question and one answer."""
    return {"messages": [_message("user", prompt), _message("assistant", answer)], "meta": meta}


def preference(prompt, chosen, rejected, meta):
    """A sample of format ``preferences``."""
    return {
        "prompt": [_message("user", prompt)],
        "chosen": [_message("assistant", chosen)],
        "rejected": [_message("assistant", rejected)],
        "meta": meta,
    }


def verifiable(prompt, answer, meta):
    """A sample of format ``prompts``; ``answer`` as ``scripts.corpus.rewards`` reads it."""
    return {"prompt": [_message("user", prompt)], "answer": answer, "meta": meta}


def format_of(sample):
    """The format of a sample."""
    return "messages" if "messages" in sample else "preferences" if "chosen" in sample else "prompts"


def prompt_of(sample):
    """The question of a sample as one text: all that precedes the last answer."""
    turns = sample["messages"][:-1] if "messages" in sample else sample["prompt"]
    return "\n".join(turn["content"] for turn in turns)


def answers_of(sample):
    """The answers of a sample as texts: one, or the chosen and the rejected one, or none."""
    if "messages" in sample:
        return [sample["messages"][-1]["content"]]
    return [sample[side][-1]["content"] for side in ("chosen", "rejected") if side in sample]


def generator(seed, part, key):
    """A random generator of one sample's own: one more sample changes no other."""
    return random.Random(f"{seed}|{part}|{key}")


def read(path):
    """The samples in a jsonl file, a list."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def write(path, samples):
    """Write samples as jsonl, one a line."""
    write_text(path, "".join(line(sample) for sample in samples))


def line(sample):
    """A sample as its line of a jsonl file."""
    return json.dumps(sample, ensure_ascii=False, separators=(", ", ": ")) + "\n"


def count_lines(path):
    """How many samples a jsonl file has."""
    return sum(1 for each in Path(path).read_text(encoding="utf-8").split("\n") if each.strip())


def spread(samples, number):
    """``number`` of ``samples`` (None: all) at equal distances: the parts of a file in proportion."""
    if number is None or number >= len(samples):
        return list(samples)
    return [samples[place * len(samples) // number] for place in range(number)]


def _message(role, content):
    return {"role": role, "content": unicodedata.normalize("NFC", content)}
