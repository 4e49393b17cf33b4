"""Curricula: phases that draw samples by difficulty, none twice, with every shortfall an error or on record."""

import hashlib

from scripts.common.errors import StudyError
from scripts.corpus.questions import DIFFICULTIES


def draw(samples, phases, shortfall, seed):
    """The last of ``phases``: ``(samples in the order of training, account)``.

    ``phases``: ``{name: settings}`` (dicts with samples, easy, medium, hard, extreme, order), the phase wanted and all
    before it, in order: a sample that an earlier phase drew is not drawn again. ``account`` says by difficulty how
    many were wanted, there, and taken. ``shortfall``: ``"error"`` raises StudyError that names the bucket;
    ``"reallocate"`` fills up from the nearest difficulties and records it.
    """
    buckets = {each: [] for each in DIFFICULTIES}
    for sample in sorted(samples, key=lambda sample: _order(seed, sample)):
        buckets[sample["meta"]["difficulty"]].append(sample)
    for name, phase in phases.items():
        wanted = shares(phase)
        there = {each: len(bucket) for each, bucket in buckets.items()}
        taken, moved = _allocate(name, wanted, there, shortfall)
        drawn = []
        for each in DIFFICULTIES:
            drawn += buckets[each][: taken[each]]
            buckets[each] = buckets[each][taken[each] :]
    account = {
        "phase": name,
        "samples": len(drawn),
        "order": phase["order"],
        "shortfall": shortfall,
        "buckets": {
            each: {"wanted": wanted[each], "available": there[each], "taken": taken[each]} for each in DIFFICULTIES
        },
        "reallocated": moved,
        "domains": _count(drawn),
    }
    return _arrange(drawn, phase["order"], seed), account


def shares(phase):
    """``{difficulty: samples}`` that a phase wants: its shares in whole samples, which add up to its size.

    Largest remainders get the samples that rounding leaves over.
    """
    exact = {each: phase["samples"] * phase[each] for each in DIFFICULTIES}
    whole = {each: int(value + 1e-9) for each, value in exact.items()}
    rest = phase["samples"] - sum(whole.values())
    for each in sorted(DIFFICULTIES, key=lambda each: whole[each] - exact[each])[:rest]:
        whole[each] += 1
    return whole


def _allocate(name, wanted, there, shortfall):
    """``(taken, moved)`` by difficulty; ``moved`` lists what was taken in place of something else."""
    short = {each: wanted[each] - there[each] for each in DIFFICULTIES if wanted[each] > there[each]}
    said = ", ".join(f"{each}: {wanted[each]} wanted, {there[each]} there" for each in short)
    if short and shortfall == "error":
        raise StudyError(
            f"phase {name} cannot be filled ({said}): add samples of these difficulties, change the phase's shares, "
            "or set curriculum.shortfall to reallocate, which takes the nearest difficulties and records it"
        )
    if sum(wanted.values()) > sum(there.values()):
        raise StudyError(
            f"phase {name} wants {sum(wanted.values())} samples and {sum(there.values())} are left ({said}): "
            "no difficulty can make up for that; make the phases smaller or the parts larger"
        )
    taken, moved = {each: min(wanted[each], there[each]) for each in DIFFICULTIES}, []
    for each, missing in short.items():
        place = DIFFICULTIES.index(each)
        # harder before easier at equal distance
        for other in sorted(DIFFICULTIES, key=lambda o: (abs(DIFFICULTIES.index(o) - place), -DIFFICULTIES.index(o))):
            # what another bucket needs for itself is in `taken` already and is not given away
            number = min(missing, there[other] - taken[other]) if other != each else 0
            if number > 0:
                taken[other] += number
                missing -= number
                moved.append({"from": each, "to": other, "samples": number})
    return taken, moved


def _arrange(samples, order, seed):
    """Blocks: domain by domain, easy ones first. Mixed: shuffled, all difficulties throughout."""
    if order == "blocks":
        return sorted(
            samples,
            key=lambda each: (
                each["meta"]["domain"],
                DIFFICULTIES.index(each["meta"]["difficulty"]),
                _order(seed, each),
            ),
        )
    return sorted(samples, key=lambda each: _order(f"{seed}|mixed", each))


def _order(seed, sample):
    """A place in a shuffled order that depends on the sample alone: one more sample moves no other."""
    return hashlib.sha256(f"{seed}|{sample['meta']['id']}".encode()).hexdigest()


def _count(samples):
    counts = {}
    for sample in samples:
        counts[sample["meta"]["domain"]] = counts.get(sample["meta"]["domain"], 0) + 1
    return dict(sorted(counts.items()))
