"""Which samples are computed together: rows without padding that keep every optimizer step what it would be with it.

A step's samples are packed into rows of at most ``capacity`` tokens. Each sample keeps its own positions and sees
nothing of its neighbours, and the loss of a step is the mean over its target tokens whatever the rows are: packing
changes how fast a step is computed, not what it computes. Every step has the same number of rows, since the trainer
accumulates gradients over a fixed number of them.
"""

import math

import numpy as np


def draw_batches(number, batch, epochs, seed, shuffle=True):
    """The samples of every optimizer step, a list of lists of positions below ``number``.

    Epochs are shuffled each by itself and follow each other without a break; a fraction of an epoch is its first
    part. The last step may be smaller.
    """
    stream = []
    for epoch in range(math.ceil(epochs)):
        order = np.random.default_rng([seed, epoch]).permutation(number) if shuffle else np.arange(number)
        stream += order[: max(1, round(number * min(1.0, epochs - epoch)))].tolist()
    return [stream[start : start + batch] for start in range(0, len(stream), batch)]


def pack(batches, lengths, capacity, multiple=1):
    """``(steps, rows)``: every step as a list of rows of sample positions, all with ``rows`` rows where they can.

    ``lengths``: tokens of each sample; longer ones than ``capacity`` have a row of their own. Rows of a step are
    about equally long (the longest sample goes to the shortest row) where that keeps them within the capacity.
    ``multiple``: of what ``rows`` is one.
    """
    rows = max((len(_first_fit(batch, lengths, capacity)) for batch in batches), default=1)
    rows = -(-rows // multiple) * multiple
    steps = [_balance(batch, lengths, rows) for batch in batches]
    for number, step in enumerate(steps):
        if any(len(row) > 1 and sum(lengths[each] for each in row) > capacity for row in step):
            steps[number] = _split(_first_fit(batches[number], lengths, capacity), rows)
    return steps, rows


def one_by_one(batches):
    """``(steps, rows)`` without packing: a row for every sample."""
    return [[[each] for each in batch] for batch in batches], max(map(len, batches), default=1)


def share(steps, rows, processes, lengths):
    """``(steps, rows)`` whose rows so many processes take in turn, equally many of each step.

    The longest rows of a step come first: those that are computed at the same time are about equally long. Where a
    step has too few, empty rows follow.
    """
    rows = -(-rows // processes) * processes
    ordered = [sorted(step, key=lambda row: -sum(lengths[each] for each in row)) for step in steps]
    return [step + [[]] * (rows - len(step)) for step in ordered], rows


def _first_fit(batch, lengths, capacity):
    """Rows by first-fit decreasing: no row but that of one long sample is over the capacity."""
    rows, free = [], []
    for each in sorted(batch, key=lambda each: (-lengths[each], each)):
        place = next((number for number, room in enumerate(free) if room >= lengths[each]), None)
        if place is None:
            rows.append([each])
            free.append(capacity - lengths[each])
        else:
            rows[place].append(each)
            free[place] -= lengths[each]
    return rows


def _split(rows, number):
    """``number`` rows, or as many as there are samples: those with the most samples are cut in two."""
    rows = [list(row) for row in rows]
    while len(rows) < number and max(map(len, rows)) > 1:
        place = max(range(len(rows)), key=lambda each: len(rows[each]))
        half = len(rows[place]) // 2
        rows.append(rows[place][half:])
        rows[place] = rows[place][:half]
    return rows


def _balance(batch, lengths, rows):
    """At most ``rows`` rows, none empty; longest first, each into the row that is shortest so far."""
    filled, sizes = [[] for _ in range(min(rows, len(batch)))], [0] * min(rows, len(batch))
    for each in sorted(batch, key=lambda each: (-lengths[each], each)):
        shortest = sizes.index(min(sizes))
        filled[shortest].append(each)
        sizes[shortest] += lengths[each]
    return filled
