"""What a stack must show before it may be promoted, as rules with their figures.

Every rule reads pooled out-of-fold or hold-out rows. A figure that is missing or NaN never passes, and too good is
refused like too bad: an AUC far above what the market allows has seen the future.
"""

import math
from dataclasses import asdict, dataclass
from operator import ge, le

from scripts.ensemble.metrics import STACK

COMPARISONS = {">=": ge, "<=": le}


@dataclass(frozen=True)
class Rule:
    """One rule and its outcome; ``passed`` is None where it does not apply, and ``why`` says why."""

    name: str
    value: float | None
    threshold: float | None
    comparison: str
    passed: bool | None
    why: str


def judge(metrics, gates, rows):
    """The body of gate.json: ``verdict`` (accepted or refused), ``reason`` and ``rules``.

    ``metrics``: as from :func:`scripts.ensemble.metrics.collect`; ``gates``: the config's; ``rows``: out-of-fold rows.
    A threshold of 0 switches a rule off, except the test against noise.
    """
    oof, test = metrics["oof"]["scores"][STACK], metrics["test"]
    rules = [
        limit("min_rows_to_deploy", rows, ">=", gates["min_rows_to_deploy"], "out-of-fold rows"),
        limit("min_auc", oof["auc"], ">=", gates["min_auc"], "pooled out-of-fold AUC of the stack"),
        limit("max_auc", oof["auc"], "<=", gates["max_auc"], "pooled out-of-fold AUC of the stack (too good: a leak)"),
        better_than_noise(oof["noise"], gates),
    ]
    if test is None:
        names = (("max_test_gap", "<="), ("test_max_auc", "<="), ("test_against_best_base", ">="))
        rules += [Rule(name, None, None, sign, None, "no hold-out is configured") for name, sign in names]
    else:
        rules += holdout_rules(oof, test, gates)
    failed = [rule for rule in rules if rule.passed is False]
    passed = sum(rule.passed is True for rule in rules)
    reason = "; ".join(rule.why for rule in failed) or f"all {passed} rules that apply are met"
    return {
        "verdict": "refused" if failed else "accepted",
        "reason": reason,
        "rules": [asdict(rule) for rule in rules],
    }


def skipped(reason):
    """The body of gate.json of an ensemble that was not trained: a decision, not a failure."""
    return {"verdict": "skipped", "reason": reason, "rules": []}


def holdout_rules(oof, test, gates):
    """The rules that compare the hold-out with the out-of-fold rows and with the base models."""
    auc, best = test["scores"][STACK]["auc"], test["best_base"]
    known = auc is not None and oof["auc"] is not None
    gap = abs(auc - oof["auc"]) if known else None
    floor = best["auc"] - best["standard_error"] if best else None
    rival = f"the best base model, {best['model']}," if best else "the best base model"
    against = f"hold-out AUC of the stack (threshold: that of {rival} less its standard error)"
    return [
        limit("max_test_gap", gap, "<=", gates["max_test_gap"], "distance of hold-out AUC from out-of-fold AUC"),
        limit("test_max_auc", auc, "<=", gates["max_auc"], "hold-out AUC of the stack (too good: a leak)"),
        compare("test_against_best_base", auc, ">=", floor, against),
    ]


def better_than_noise(noise, gates):
    """The p-value of the circular-shift test; too few shifts cannot certify anything."""
    what = "p-value of the circular-shift test of the stack's out-of-fold AUC"
    if noise and not noise["certifies"]:
        why = f"{what} does not count: {noise['shifts']} shifts, {gates['permutations']} needed (more rows)"
        return Rule("better_than_noise", noise["p"], gates["better_than_noise"], "<=", False, why)
    return compare("better_than_noise", noise and noise["p"], "<=", gates["better_than_noise"], what)


def limit(name, value, sign, threshold, what):
    """The :class:`Rule` ``value sign threshold``, always met where the threshold is 0."""
    if threshold == 0:
        return Rule(name, _number(value), threshold, sign, True, f"{what}: not limited (threshold 0)")
    return compare(name, value, sign, threshold, what)


def compare(name, value, sign, threshold, what):
    """The :class:`Rule` ``value sign threshold``; not met where either is missing or NaN."""
    if any(each is None or math.isnan(each) for each in (value, threshold)):
        return Rule(name, None, _number(threshold), sign, False, f"{what}: there is no figure to judge")
    met = bool(COMPARISONS[sign](value, threshold))
    relation = sign if met else {">=": "<", "<=": ">"}[sign]
    return Rule(name, value, threshold, sign, met, f"{what}: {_text(value)} {relation} {_text(threshold)}")


def _text(value):
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def _number(value):
    return None if value is None or math.isnan(value) else value
