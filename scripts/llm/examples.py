"""Samples as a trainer eats them: token ids, targets and positions, in rows."""

from itertools import pairwise
from typing import NamedTuple

from scripts.corpus.samples import spread
from scripts.llm import chats

IGNORED = -100  # the target of a token that is not learned


class Example(NamedTuple):
    """One tokenised sample: its segments ``(ids, start)``, with targets from ``start`` on.

    A conversation has one segment; a preference pair has two, the chosen answer's and the rejected one's, and the
    log-probabilities that the reference policy gives them.
    """

    segments: tuple
    references: tuple | None = None
    name: str = ""

    @property
    def length(self):
        """Tokens of all segments."""
        return sum(len(ids) for ids, _ in self.segments)


def conversations(tokenizer, samples, max_length):
    """``(examples, too_long)`` of samples of format messages; the answer is the last turn.

    Samples of more than ``max_length`` tokens are left out; ``too_long`` has their ids.
    """
    kept, too_long = [], []
    for sample in samples:
        ids, start = chats.encode(tokenizer, sample["messages"][:-1], sample["messages"][-1]["content"])
        if len(ids) > max_length:
            too_long.append(sample["meta"]["id"])
        else:
            kept.append(Example(((ids, start),)))
    return kept, too_long


def documents(tokenizer, texts, max_length):
    """Examples of plain texts, cut to ``max_length`` tokens, with every token but the first a target."""
    return [Example(((tokenizer.encode(text, add_special_tokens=False)[:max_length], 1),)) for text in texts]


def pairs(tokenizer, samples, max_length, references=None):
    """``(examples, too_long)`` of samples of format preferences; both answers share the prompt.

    ``references``: ``{id: (chosen, rejected)}`` log-probabilities of the reference, or None.
    """
    kept, too_long = [], []
    for sample in samples:
        name, answers = sample["meta"]["id"], (sample[side][-1]["content"] for side in ("chosen", "rejected"))
        segments = tuple(chats.encode(tokenizer, sample["prompt"], answer) for answer in answers)
        if max(len(ids) for ids, _ in segments) > max_length:
            too_long.append(name)
        else:
            kept.append(Example(segments, references and references[name], name))
    return kept, too_long


def chosen(samples, settings):
    """The samples that a training's settings (``parts``, ``samples``) choose, in their order."""
    kept = [each for each in samples if settings["parts"] == "all" or each["meta"]["part"] in settings["parts"]]
    return spread(kept, settings["samples"])


def row(examples):
    """The columns of one row: input_ids, labels, position_ids (which begin anew with each segment), references."""
    columns = {"input_ids": [], "labels": [], "position_ids": []}
    for ids, start in (segment for each in examples for segment in each.segments):
        columns["input_ids"] += ids
        columns["labels"] += [IGNORED] * start + ids[start:]
        columns["position_ids"] += range(len(ids))
    if examples[0].references is not None:
        columns["references"] = [each.references for each in examples]
    return columns


class Rows:
    """The rows of all steps in order, as a map-style dataset; a row is put together when it is asked for.

    An empty row is the shortest example, marked ``empty``: a process that has no row of a step computes it with the
    others, and it counts for nothing.
    """

    def __init__(self, examples, steps):
        self.examples, self.rows = examples, [each for step in steps for each in step]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        if not self.rows[number]:
            return row([min(self.examples, key=lambda each: each.length)]) | {"empty": True}
        return row([self.examples[each] for each in self.rows[number]])

    def tokens(self):
        """Tokens of all rows."""
        return sum(self.examples[each].length for row in self.rows for each in row)


def collate(rows):
    """The one row of a micro-batch as tensors ``[1, tokens]``, where its segments begin (``bounds``, int32), their
    ``lengths`` as plain numbers, the references of its pairs ``[pairs, 2]``, and whether it is ``empty``."""
    import torch

    (row,) = rows
    starts = [place for place, position in enumerate(row["position_ids"]) if position == 0]
    bounds = [*starts, len(row["position_ids"])]
    batch = {name: torch.tensor([row[name]]) for name in ("input_ids", "labels", "position_ids")}
    batch["bounds"] = torch.tensor(bounds, dtype=torch.int32)
    batch["lengths"] = [end - start for start, end in pairwise(bounds)]
    if "empty" in row:
        batch["empty"] = True
    if "references" in row:
        batch["references"] = torch.tensor(row["references"], dtype=torch.float32)
    return batch
