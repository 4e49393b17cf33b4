"""Computed answers, computed again: from the inputs that a sample keeps, and compared with its text."""

from scripts.corpus import domains
from scripts.corpus.samples import answers_of


def wrong(samples):
    """``[(id, what is wrong)]`` of the samples with a computed answer that do not stand up to recomputation."""
    found = []
    questions = {}
    for sample in samples:
        meta = sample["meta"]
        if "question" not in meta:
            continue
        domain = meta["domain"]
        if domain not in questions:
            questions[domain] = {each.name: each for each in domains.load(domain).QUESTIONS}
        solution = questions[domain][meta["question"]].solve(meta["inputs"])
        kept = (sample.get("answer") or meta["answer"])["value"]
        text = meta.get("reference") or answers_of(sample)[0]
        if not _equal(solution.value, kept):
            found.append((meta["id"], f"the answer is {solution.value}, kept is {kept}"))
        elif solution.text not in text:
            found.append((meta["id"], f"the text does not contain {solution.text}"))
    return found


def _equal(value, kept):
    if isinstance(value, str) or isinstance(kept, str):
        return value == kept
    return abs(value - kept) <= 1e-9 * max(abs(value), 1.0)
