"""Splits that share nothing: samples with a time are split by whole periods, the others by whole groups.

A period, a phrasing or a formula (``meta.group``) is in one split only, and the samples of held-out entities are in
the test part whatever their group. The last periods are the test part, those before them the validation part. Each
format is split on its own, so that it has its shares; that no period is tested in one format and trained on in another
is a rule of the checks (:func:`scripts.corpus.verdicts.of_formats`).
"""

import hashlib
import math

from scripts.corpus.samples import SPLITS


def split(samples, *, validation, test, entities=()):
    """``{"train": [...], "validation": [...], "test": [...]}`` of samples, each in the order given.

    ``validation`` and ``test`` are shares of the samples; whole groups are taken until a share is reached.
    """
    timed = [each for each in samples if each["meta"]["time"]]
    others = [each for each in samples if not each["meta"]["time"]]
    place = by_time(timed, validation, test) | by_group(others, validation, test)
    parts = {name: [] for name in SPLITS}
    for sample in samples:
        held_out = sample["meta"]["entity"] in entities
        parts["test" if held_out else place[_key(sample)]].append(sample)
    return parts


def by_time(samples, validation, test):
    """``{key: split}`` of the groups of samples with a time: the last periods are test, those before validation."""
    counts = _counts(samples)
    first = {}
    for sample in samples:
        key = _key(sample)
        first[key] = min(first.get(key, sample["meta"]["time"]), sample["meta"]["time"])
    return _share_out(sorted(counts, key=lambda key: (first[key], key), reverse=True), counts, validation, test)


def by_group(samples, validation, test):
    """``{key: split}`` of the groups of samples without a time, in an order that a hash of their names decides.

    Part by part, so that each part has its shares and none moves another's groups.
    """
    place = {}
    for part in sorted({sample["meta"]["part"] for sample in samples}):
        counts = _counts([sample for sample in samples if sample["meta"]["part"] == part])
        order = sorted(counts, key=lambda key: hashlib.sha256(key[1].encode()).hexdigest())
        place |= _share_out(order, counts, validation, test)
    return place


def _share_out(order, counts, validation, test):
    """Groups in ``order`` go to test, then to validation, until each has its share; the rest is for training."""
    total = sum(counts.values())
    place, wanted = {}, {"test": math.floor(test * total), "validation": math.floor(validation * total)}
    for key in order:
        name = next((name for name in ("test", "validation") if wanted[name] > 0), "train")
        place[key] = name
        if name != "train":
            wanted[name] -= counts[key]
    return place


def _counts(samples):
    counts = {}
    for sample in samples:
        counts[_key(sample)] = counts.get(_key(sample), 0) + 1
    return counts


def _key(sample):
    """What is not shared by two splits: periods hold for all parts of a format, other groups for their own part."""
    meta = sample["meta"]
    return ("", meta["group"]) if meta["time"] else (meta["part"], meta["group"])
