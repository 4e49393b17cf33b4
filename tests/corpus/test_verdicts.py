"""Each rule of the checks can fail, and says why."""

import json

from scripts.common.job import Job
from scripts.corpus import check_corpus, samples, verdicts
from tests.corpus.conversations import CHECKS, market_part, pair, talk


def failed(rules):
    return {each["name"] for each in rules if each["passed"] is False}


def test_a_part_of_one_text_is_refused():
    made = [talk(f"What is the price of EURUSD at {n}?", f"It is {n}.5.", str(n)) for n in range(200)]
    rules, figures = verdicts.of_part("made", "formulas", made, CHECKS)
    assert failed(rules) == {"skeletons", "answer_skeletons", "skeleton_share"}
    assert figures["skeletons"]["most_common"] == "What is the price of @ at #? It is #."


def test_a_part_without_samples_is_refused():
    rules, _ = verdicts.of_part("made", "files", [], CHECKS)
    assert "not_empty" in failed(rules)


def test_small_parts_are_not_asked_for_more_skeletons_than_samples():
    made = [talk(f"Question {'abcdefghij'[n]}?", f"Answer {'abcdefghij'[n]}.", str(n)) for n in range(10)]
    assert not failed(verdicts.of_part("made", "formulas", made, CHECKS)[0])


def test_wrong_samples_refuse_only_where_they_stay():
    made = [talk(f"Question {chr(97 + n)}?", f"Answer {chr(97 + n)}.", str(n)) for n in range(20)]
    made.append(talk("Link?", "www.example.org", "20"))
    rules, _ = verdicts.of_part("made", "formulas", made, CHECKS)
    assert failed(rules) == {"sound_samples"}
    assert verdicts.verdict(rules, "quarantine")[0] == "accepted"
    assert verdicts.verdict(rules, "ignore") == ("refused", "made: sound_samples is 1, limit 0")


def test_splits_that_share_a_group_or_a_question_are_refused():
    clean = {"train": [talk("a?", "1", "1", group="a")], "validation": [], "test": [talk("b?", "2", "2", group="b")]}
    assert not failed(verdicts.of_splits("messages", clean))
    shared = clean | {"test": [talk("c?", "2", "2", group="a"), talk("a?", "1", "3", group="c")]}
    assert failed(verdicts.of_splits("messages", shared)) == {"separate_groups", "separate_questions"}
    assert failed(verdicts.of_splits("messages", clean | {"train": []})) == {"train_not_empty"}


def test_a_period_that_is_tested_in_one_format_and_trained_on_in_another_is_refused():
    def of(*periods):
        return [talk(f"q{each}?", "1", each, group=each, time="2023-01-05", entity="AAA") for each in periods]

    conversations = {"train": of("2022-Q4"), "validation": of("2023-Q1"), "test": of("2023-Q2")}
    agreeing = {"messages": conversations, "preferences": conversations | {"train": of("2022-Q4", "2023-Q1")}}
    assert not failed(verdicts.of_formats(agreeing))
    earlier = {"train": of("2022-Q4"), "validation": [], "test": of("2023-Q1", "2023-Q2")}
    (rule,) = verdicts.of_formats({"messages": conversations, "preferences": earlier})
    assert rule["passed"] is False and rule["name"] == "separate_periods" and rule["value"] == 1
    assert "AAA 2023-Q1 is in preferences/test and in messages/validation" in rule["detail"]
    assert "splits.test" in rule["detail"]
    assert verdicts.verdict([rule], "quarantine")[0] == "refused"
    # the periods of held-out entities are tested in all formats
    alone = {"messages": conversations, "preferences": {"train": [], "validation": [], "test": of("2022-Q4")}}
    for each in alone["preferences"]["test"]:
        each["meta"]["entity"] = "BBB"
    assert not failed(verdicts.of_formats(alone))


def test_the_checks_look_at_the_formats_together(tmp_path):
    inputs = {"parts": [], "splits": [], "benchmark": []}
    for form, periods in (("messages", ("2022-Q4", "2023-Q1")), ("preferences", ("2022-Q3", "2022-Q4"))):
        for name, period in zip(("train", "test"), periods, strict=True):
            make = talk if form == "messages" else pair
            made = make(f"{form} {name}?", "BUY", "SELL" if form == "preferences" else name)
            made["meta"] |= {"time": "2022-11-05", "t1": "2022-11-06", "group": period, "entity": "AAA"}
            path = tmp_path / form / f"{name}.jsonl"
            path.parent.mkdir(exist_ok=True)
            samples.write(path, [made])
            inputs["splits"].append(str(path))
    params = {"formats": ["messages", "preferences"], "parts": {}, "checks": CHECKS, "seed": 7}
    check_corpus.main(Job(input=inputs, output=[str(tmp_path / "c.json")], params=params, wildcards={"corpus": "made"}))
    found = json.loads((tmp_path / "c.json").read_text())
    (rule,) = [each for each in found["rules"] if each["name"] == "separate_periods"]
    assert rule["passed"] is False and "AAA 2022-Q4 is in preferences/test and in messages/train" in rule["detail"]
    assert found["verdict"] == "refused"


def test_made_pairs_pass_and_unbalanced_or_unequal_ones_do_not():
    from scripts.corpus import splits
    from scripts.corpus.kinds import preferences

    made = list(preferences.build(market_part("preferences", 400)))
    parts = splits.split(made, validation=0.05, test=0.4)
    rules, figures = verdicts.of_preferences(parts, CHECKS, 7)
    assert not failed(rules)
    assert figures["masked_auc"]["auc"] == 0.5
    bullish = {
        name: [each for each in part if each["meta"]["outcome"]["chosen"] == "BUY"] for name, part in parts.items()
    }
    assert failed(verdicts.of_preferences(bullish, CHECKS, 7)[0]) == {"balanced_decisions"}
    short = [each | {"rejected": [{"role": "assistant", "content": "SELL."}]} for each in parts["train"]]
    assert "equal_length" in failed(verdicts.of_preferences(parts | {"train": short}, CHECKS, 7)[0])


def test_few_pairs_are_said_to_be_few():
    made = {"train": [pair("q", "BUY", "SELL")], "validation": [], "test": []}
    rules, figures = verdicts.of_preferences(made, CHECKS, 7)
    (masked,) = [each for each in rules if each["name"] == "masked_auc"]
    assert masked["passed"] is None and "50 of each needed" in masked["detail"]
    assert figures == {"masked_auc": None, "predictability": None}


def test_a_thousand_later_pairs_are_not_told_apart_by_their_style():
    """The issue's figure: at least 1,000 pairs held out by time, masked AUC at most 0.53."""
    from scripts.corpus import splits
    from scripts.corpus.kinds import preferences

    made = list(preferences.build(market_part("preferences", 1400)))
    parts = splits.split(made, validation=0.05, test=0.4)
    rules, figures = verdicts.of_preferences(parts, CHECKS, 7)
    assert figures["masked_auc"]["pairs"] >= 1000
    assert figures["masked_auc"]["auc"] <= 0.53
    assert max(each["meta"]["t1"] for each in parts["train"]) < min(each["meta"]["time"] for each in parts["test"])
