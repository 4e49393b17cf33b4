"""Whether training has met the benchmark: the same text, a long run of the same words, or nearly the same text."""

import re

from scripts.corpus.samples import answers_of, prompt_of

WORD = re.compile(r"\w+")
SHINGLE = 3
PERMUTATIONS = 128


def find(training, benchmark, *, ngram, max_similarity):
    """What benchmark and training share: pairs of ids in the lists ``exact``, ``ngram`` and ``similar``.

    ``exact``: the same question, case and punctuation aside. ``ngram``: a run of ``ngram`` words of the benchmark's
    question that a training sample has, in its question or its answer. ``similar``: Jaccard similarity of the two
    questions (sets of runs of three words) above ``max_similarity``; candidates come from MinHash, and are then
    measured exactly. Each list has pairs (benchmark id, training id), one for each benchmark question concerned.
    """
    questions = {each["meta"]["id"]: words(prompt_of(each)) for each in training}
    texts = {each["meta"]["id"]: words("\n".join([prompt_of(each), *answers_of(each)])) for each in training}
    asked = {each["meta"]["id"]: words(prompt_of(each)) for each in benchmark}
    return {
        "exact": _exact(questions, asked),
        "ngram": _runs(texts, asked, ngram),
        "similar": _similar(questions, asked, max_similarity),
    }


def words(text):
    """The words of a text in lower case; numbers are words."""
    return WORD.findall(text.lower())


def jaccard(first, second):
    """The share of runs of three words that two lists of words have in common."""
    a, b = runs(first, SHINGLE), runs(second, SHINGLE)
    return len(a & b) / len(a | b) if a | b else 1.0


def runs(found, length):
    """The set of runs of ``length`` words; a shorter text is one run."""
    if len(found) < length:
        return {tuple(found)} if found else set()
    return set(zip(*(found[place:] for place in range(length)), strict=False))


def _exact(questions, asked):
    known = {}
    for name, found in questions.items():
        known.setdefault(tuple(found), name)
    return [(name, known[tuple(found)]) for name, found in asked.items() if tuple(found) in known]


def _runs(texts, asked, ngram):
    wanted = {}
    for name, found in asked.items():
        if len(found) >= ngram:
            for run in runs(found, ngram):
                wanted.setdefault(run, set()).add(name)
    first = {}
    for trained, found in texts.items():
        for place in range(len(found) - ngram + 1):
            for name in wanted.get(tuple(found[place : place + ngram]), ()):
                first.setdefault(name, trained)
    return sorted(first.items())


def _similar(questions, asked, max_similarity):
    from datasketch import MinHash, MinHashLSH

    def sketch(found):
        signature = MinHash(num_perm=PERMUTATIONS, seed=1)
        signature.update_batch([" ".join(run).encode() for run in sorted(runs(found, SHINGLE))])
        return signature

    # candidates a little below the limit: MinHash estimates, the exact measure decides
    index = MinHashLSH(threshold=max(max_similarity - 0.15, 0.05), num_perm=PERMUTATIONS)
    for name, found in asked.items():
        index.insert(name, sketch(found))
    nearest = {}
    for trained, found in questions.items():
        for name in index.query(sketch(found)):
            similarity = jaccard(asked[name], found)
            if similarity > max_similarity and similarity > nearest.get(name, (0, ""))[0]:
                nearest[name] = (similarity, trained)
    return sorted((name, trained) for name, (_, trained) in nearest.items())
