"""The rules of the gate, one figure at a time: no number, noise, and too good never pass."""

import json

import pytest

from scripts.ensemble import gates
from tests.ensemble.stacks import GATES

NOISE = {"p": 0.0001, "shifts": 9000, "certifies": True}


def figures(auc=0.6, noise=NOISE, test_auc=0.59, best=0.585, holdout=True):
    test = {
        "scores": {"stack": {"auc": test_auc}},
        "best_base": None if best is None else {"model": "lgb", "auc": best, "standard_error": 0.01},
    }
    return {"oof": {"scores": {"stack": {"auc": auc, "noise": noise}}}, "test": test if holdout else None}


def verdict(rows=5000, limits=None, **changed):
    body = gates.judge(figures(**changed), GATES | (limits or {}), rows)
    return body["verdict"], {rule["name"] for rule in body["rules"] if rule["passed"] is False}, body


def test_a_good_stack_is_accepted_and_every_rule_says_why():
    outcome, failed, body = verdict()
    assert (outcome, failed) == ("accepted", set())
    assert body["reason"] == "all 7 rules that apply are met"
    first = body["rules"][0]
    assert first == {
        "name": "min_rows_to_deploy",
        "value": 5000,
        "threshold": 3000,
        "comparison": ">=",
        "passed": True,
        "why": "out-of-fold rows: 5000 >= 3000",
    }


@pytest.mark.parametrize(
    "changed, rule",
    [
        ({"rows": 2999}, "min_rows_to_deploy"),
        ({"auc": 0.549}, "min_auc"),
        ({"auc": 0.76, "test_auc": 0.74}, "max_auc"),
        ({"auc": float("nan"), "test_auc": 0.6}, "min_auc"),
        ({"auc": None}, "max_auc"),
        ({"noise": NOISE | {"p": 0.0011}}, "better_than_noise"),
        ({"noise": NOISE | {"p": float("nan")}}, "better_than_noise"),
        ({"noise": NOISE | {"certifies": False}}, "better_than_noise"),
        ({"noise": None}, "better_than_noise"),
        ({"test_auc": 0.7, "auc": 0.64}, "max_test_gap"),
        ({"test_auc": None}, "max_test_gap"),
        ({"test_auc": 0.76, "auc": 0.74}, "test_max_auc"),
        ({"test_auc": 0.59, "best": 0.601}, "test_against_best_base"),
        ({"best": None}, "test_against_best_base"),
        ({"best": float("nan")}, "test_against_best_base"),
    ],
)
def test_what_is_bad_missing_or_too_good_is_refused(changed, rule):
    outcome, failed, body = verdict(**changed)
    assert outcome == "refused" and rule in failed
    json.dumps(body, allow_nan=False)
    assert all(each["why"] in body["reason"] for each in body["rules"] if each["passed"] is False)


def test_a_hold_out_within_one_standard_error_of_the_best_base_is_good_enough():
    assert verdict(test_auc=0.59, best=0.599)[0] == "accepted"


def test_without_a_hold_out_its_rules_do_not_apply():
    outcome, _, body = verdict(holdout=False)
    assert outcome == "accepted" and body["reason"] == "all 4 rules that apply are met"
    last = body["rules"][4:]
    assert [rule["passed"] for rule in last] == [None] * 3
    assert {rule["why"] for rule in last} == {"no hold-out is configured"}


def test_a_threshold_of_zero_switches_a_rule_off_but_never_the_test_against_noise():
    off = {"min_rows_to_deploy": 0, "min_auc": 0, "max_auc": 0, "max_test_gap": 0}
    assert verdict(rows=10, limits=off, auc=0.4, test_auc=0.99)[:2] == ("accepted", set())
    assert verdict(rows=10, limits=off, auc=0.9, noise=NOISE | {"p": 0.2})[:2] == ("refused", {"better_than_noise"})
    nothing = {"auc": None, "noise": None, "test_auc": None, "best": None}
    assert verdict(rows=0, limits=off, **nothing)[0] == "refused"


def test_a_skip_is_a_decision_with_its_reason():
    assert gates.skipped("too few") == {"verdict": "skipped", "reason": "too few", "rules": []}
