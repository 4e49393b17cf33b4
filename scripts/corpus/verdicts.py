"""What is said of a corpus: rules with value and limit, part by part and for the whole, and a verdict."""

from collections import Counter

from scripts.corpus import contamination, defects, leakage, recomputation, skeletons
from scripts.corpus.samples import format_of, prompt_of

SHOWN = 5


def rule(name, scope, passed, value, limit, samples, detail=""):
    """One rule: ``passed`` is None where it could not be applied, which ``detail`` says."""
    keys = ("name", "scope", "passed", "value", "limit", "samples", "detail")
    return dict(zip(keys, (name, scope, passed, value, limit, samples, detail), strict=True))


def of_part(name, kind, samples, checks):
    """The rules on one part as it was written, before anything was kept apart."""
    whole = [each for each in samples if "defect" not in each]
    found = skeletons.measure(whole)
    count = len(whole)
    # a part of few samples cannot have 40 skeletons, nor shares below one sample
    needed, share = min(checks["min_skeletons"], count), max(checks["max_skeleton_share"], 1 / count if count else 1.0)
    wrong = defects.find(samples, checks)
    reasons = Counter(reason for each in wrong.values() for reason in each)
    rules = [
        rule("not_empty", name, count > 0, count, 1, len(samples)),
        rule("skeletons", name, found["skeletons"] >= needed, found["skeletons"], needed, count),
        *_answers(name, samples, found["answers"], needed),
        rule(
            "skeleton_share",
            name,
            found["largest_share"] <= share,
            round(found["largest_share"], 6),
            share,
            count,
            found["most_common"],
        ),
        rule(
            "sound_samples",
            name,
            not wrong,
            len(wrong),
            0,
            len(samples),
            ", ".join(f"{number} x {reason}" for reason, number in sorted(reasons.items())),
        ),
    ]
    if kind == "domain":
        mistakes = recomputation.wrong(whole)
        said = "; ".join(f"{each}: {text}" for each, text in mistakes[:SHOWN])
        rules.append(rule("recomputed_answers", name, not mistakes, len(mistakes), 0, count, said))
    return rules, {"skeletons": found, "defects": dict(sorted(reasons.items()))}


def _answers(name, samples, value, needed):
    """The rule on answers alone; prompts of format ``prompts`` have none in words."""
    if any("defect" not in each and format_of(each) != "prompts" for each in samples):
        yield rule("answer_skeletons", name, value >= needed, value, needed, len(samples))


def of_preferences(splits, checks, seed):
    """The rules on preference pairs, split by time: what a classifier of texts makes of them, and their balance."""
    train, test = splits["train"], splits["test"]
    pairs = [each for part in splits.values() for each in part]
    masked, plain = (leakage.classify(train, test, seed, masked=each) for each in (True, False))
    figures = {"masked_auc": _figure(masked, test), "predictability": _figure(plain, test)}
    limit = checks["max_masked_auc"]
    if masked is None:
        said = f"{len(train)} pairs to train on and {len(test)} to test on, {leakage.LEAST_PAIRS} of each needed"
        rules = [rule("masked_auc", "preferences", None, None, limit, len(test), said)]
    else:
        # above the limit by chance is not above it: few pairs make wide intervals
        passed = masked.value <= limit or masked.low <= 0.5
        said = f"interval [{masked.low:.3f}, {masked.high:.3f}]; unmasked {plain.value:.3f}, which is predictability"
        rules = [rule("masked_auc", "preferences", passed, round(masked.value, 6), limit, len(test), said)]
    counts = leakage.balance(pairs)
    uneven = {group: each for group, each in counts.items() if abs(each[0] - each[1]) > 1}
    said = ", ".join(f"{group}: {buys} BUY, {sells} SELL" for group, (buys, sells) in list(uneven.items())[:SHOWN])
    rules.append(rule("balanced_decisions", "preferences", not uneven, len(uneven), 0, len(pairs), said))
    chosen, rejected = leakage.lengths(pairs)
    ratio = round(chosen / rejected, 4) if rejected else None
    fair = ratio is not None and 0.95 <= ratio <= 1.05
    rules.append(rule("equal_length", "preferences", fair, ratio, 1.05, len(pairs), "mean characters, chosen/rejected"))
    return rules, figures


def of_splits(form, splits):
    """The rules on the splits of one format: none is empty, none shares a group or a question with another."""
    rules = []
    sizes = {name: len(samples) for name, samples in splits.items()}
    total = sum(sizes.values())
    rules.append(rule("train_not_empty", form, sizes["train"] > 0, sizes["train"], 1, total, str(sizes)))
    for what, key in (("groups", _group), ("questions", prompt_of)):
        places = {}
        for name, samples in splits.items():
            for sample in samples:
                places.setdefault(key(sample), set()).add(name)
        shared = [each for each, names in places.items() if len(names) > 1 and each is not None]
        said = "; ".join(str(each)[:120] for each in shared[:SHOWN])
        rules.append(rule(f"separate_{what}", form, not shared, len(shared), 0, total, said))
    return rules


def of_formats(files):
    """The rule on the formats of a corpus together: no period is tested in one and trained on in another.

    ``files``: ``{format: {split: samples}}``. A model is trained on all formats, one after the other.
    """
    periods = {
        (form, name): {_group(each) for each in samples if each["meta"]["time"]}
        for form, splits in files.items()
        for name, samples in splits.items()
    }
    shared = [
        f"{entity} {period} is in {tested}/test and in {form}/{name}"
        for (tested, last), test in periods.items()
        for (form, name), own in periods.items()
        if last == "test" and name != "test" and form != tested
        for entity, period in sorted(test & own)
    ]
    total = sum(len(samples) for splits in files.values() for samples in splits.values())
    said = "; ".join(shared[:SHOWN])
    if shared:
        said += (
            ": the shares of samples that are tested end at different periods; raise or lower splits.test a little, or "
            "make the numbers of samples of the parts more alike"
        )
    return [rule("separate_periods", "formats", not shared, len(shared), 0, total, said)]


def of_benchmark(training, benchmark, checks):
    """The rules on a benchmark: computed answers are right, and training has not met it."""
    mistakes = recomputation.wrong(benchmark)
    said = "; ".join(f"{each}: {text}" for each, text in mistakes[:SHOWN])
    count = len(benchmark)
    rules = [rule("recomputed_answers", "benchmark", not mistakes, len(mistakes), 0, count, said)]
    found = contamination.find(training, benchmark, ngram=checks["ngram"], max_similarity=checks["max_similarity"])
    limits = {"exact": 0, "ngram": 0, "similar": 0}
    for name, limit in limits.items():
        said = "; ".join(f"{asked} in {trained}" for asked, trained in found[name][:SHOWN])
        rules.append(rule(f"contamination_{name}", "benchmark", not found[name], len(found[name]), limit, count, said))
    return rules


def verdict(rules, on_violation):
    """``(accepted or refused, reason)``. Wrong samples refuse a corpus only where they stay in it."""
    failed = [
        each
        for each in rules
        if each["passed"] is False and (each["name"] != "sound_samples" or on_violation == "ignore")
    ]
    if not failed:
        return "accepted", f"all {sum(each['passed'] is not None for each in rules)} rules hold"
    said = "; ".join(f"{each['scope']}: {each['name']} is {each['value']}, limit {each['limit']}" for each in failed)
    return "refused", said


def _group(sample):
    """What may be in one split only; held-out entities are in the test part with groups that others have too."""
    meta = sample["meta"]
    return (meta["entity"] if meta["time"] else meta["part"], meta["group"])


def _figure(estimate, test):
    if estimate is None:
        return None
    return {"auc": estimate.value, "low": estimate.low, "high": estimate.high, "pairs": len(test)}
