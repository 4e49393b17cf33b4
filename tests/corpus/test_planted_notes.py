"""Planted notes: as strong as asked for, before the question, and nothing else of a pair depends on them."""

import dataclasses
import re

import pytest
from pydantic import ValidationError

from scripts.corpus import defects, leakage, skeletons, splits, templates, verdicts
from scripts.corpus.kinds import preferences
from scripts.corpus.samples import answers_of, prompt_of
from scripts.corpus.settings import Preferences
from tests.corpus.conversations import CHECKS, market_part

PART = market_part("preferences", 300)


def build(agreement, name="made"):
    note = None if agreement is None else {"agreement": agreement}
    return list(preferences.build(dataclasses.replace(PART, name=name, settings=PART.settings | {"note": note})))


@pytest.fixture(scope="module")
def made():
    """Pairs by agreement; None is a part without notes."""
    return {agreement: build(agreement) for agreement in (None, 0.0, 0.5, 0.7, 1.0)}


def note_of(sample):
    """``(paragraph, direction)`` of the note that a prompt has, found by its words."""
    tones = templates.load("preferences")["notes"]["tones"]
    found = [
        (text, name)
        for text in prompt_of(sample).split("\n\n")
        for name in tones
        if any(tone in text for tone in tones[name])
    ]
    (note,) = found
    return note


def test_without_a_note_nothing_changes(made):
    """What a part without the setting gives is what `note: null` gives, and it has no trace of a note."""
    assert "note" not in PART.settings
    assert list(preferences.build(dataclasses.replace(PART, name="made"))) == made[None]
    assert not any("note" in each["meta"] or "note" in each["meta"]["template"] for each in made[None])


def test_a_note_changes_nothing_else_of_a_pair(made):
    for plain, noted in zip(made[None], made[1.0], strict=True):
        text, _ = note_of(noted)
        assert prompt_of(noted) == prompt_of(plain) + "\n\n" + text
        assert answers_of(noted) == answers_of(plain)
        meta = {key: value for key, value in noted["meta"].items() if key != "note"}
        assert meta | {"template": meta["template"].replace("_note", "")} == plain["meta"]


def test_the_note_is_the_last_paragraph(made):
    for each in made[0.5]:
        assert prompt_of(each).split("\n\n")[-1] == note_of(each)[0]


@pytest.mark.parametrize("agreement", [0.0, 0.5, 0.7, 1.0])
def test_notes_agree_as_often_as_asked_in_every_symbol_and_period(made, agreement):
    cells = {}
    for each in made[agreement]:
        side = {"up": "BUY", "down": "SELL"}[note_of(each)[1]]
        agrees = side == each["meta"]["outcome"]["chosen"]
        text, direction = note_of(each)
        note, phrases = each["meta"]["note"], templates.load("preferences")["notes"]
        assert (note["direction"], note["agrees"]) == (direction, agrees)
        assert phrases["frames"][note["frame"]].format(note=phrases["tones"][direction][note["tone"]]) == text
        cells.setdefault((each["meta"]["entity"], each["meta"]["group"]), []).append(agrees)
    assert len(cells) > 10
    for found in cells.values():
        assert abs(sum(found) - agreement * len(found)) < 1
    for symbol in PART.rows:
        found = [agrees for key, each in cells.items() if key[0] == symbol for agrees in each]
        assert sum(found) == agreement * 300


def test_a_control_note_says_nothing_about_the_side(made):
    """Up notes and down notes each stand before as many BUY as SELL, in every period."""
    counts = {}
    for each in made[0.5]:
        key = (each["meta"]["entity"], each["meta"]["group"], each["meta"]["note"]["direction"])
        counts.setdefault(key, []).append(each["meta"]["outcome"]["chosen"])
    assert all(sides.count("BUY") == sides.count("SELL") for sides in counts.values())


def test_another_agreement_turns_only_as_many_notes_as_it_must(made):
    turned = [
        (low["meta"]["note"]["agrees"], high["meta"]["note"]["agrees"])
        for low, high in zip(made[0.5], made[0.7], strict=True)
        if low != high
    ]
    assert len(turned) == 0.2 * 600 and set(turned) == {(False, True)}


def test_shares_carry_the_remainder_on():
    assert preferences.shares(0.5, [5, 5, 3, 3]) == [2, 3, 1, 2]
    assert preferences.shares(1.0, [5, 0, 3]) == [5, 0, 3]
    assert sum(preferences.shares(0.3, [1] * 30)) == 9
    assert preferences.shares(0.29, [100]) == [29], "0.29 * 100 is below 29 in floating point"


def test_tones_tell_directions_apart_by_words_that_stand_nowhere_else():
    phrases = templates.load("preferences")
    tones = phrases["notes"]["tones"]
    up, down = (set(words(" ".join(tones[name]))) for name in ("up", "down"))
    telling = up ^ down
    nouns = {"buyers", "demand", "bids", "bulls"}, {"sellers", "supply", "offers", "bears"}
    assert telling == set.union(*nouns)
    for one, other in zip(tones["up"], tones["down"], strict=True):
        assert len(set(words(one)) ^ set(words(other))) == 2
    rest = [
        phrases["notes"]["frames"],
        *(phrases[name] for name in phrases if name != "notes"),
        templates.load("states"),
    ]
    assert not telling & set(words(" ".join(text_of(rest))))
    assert not {"buy", "sell", "long", "short", "hold"} & set(words(" ".join(text_of(phrases["notes"]))))


def test_every_frame_stands_with_both_directions_and_every_tone_is_used(made):
    """A frame that came with one direction only would tell it as well."""
    said = {note_of(each) for each in made[1.0]}
    notes = templates.load("preferences")["notes"]
    assert len(notes["frames"]) >= 8
    for direction, tones in notes["tones"].items():
        for frame in notes["frames"]:
            assert any((frame.format(note=tone), direction) in said for tone in tones)
        for tone in tones:
            assert any((frame.format(note=tone), direction) in said for frame in notes["frames"])


@pytest.mark.parametrize("agreement", [0.5, 1.0])
def test_noted_pairs_pass_every_check(made, agreement):
    """Beside each other too: a control and a full signal are two parts of one corpus."""
    both = made[agreement] + build(agreement, "other")
    assert defects.find(both, CHECKS) == {}
    assert len({each["meta"]["id"] for each in both}) == len(both)
    rules, figures = verdicts.of_part("made", "preferences", made[agreement], CHECKS)
    parts = splits.split(both, validation=0.05, test=0.3)
    rules += verdicts.of_splits("preferences", parts)
    found, more = verdicts.of_preferences(parts, CHECKS, 7)
    assert not [each["name"] for each in rules + found if each["passed"] is not True]
    assert more["masked_auc"]["auc"] == 0.5
    assert figures["skeletons"]["largest_share"] <= 0.01


def test_chosen_and_rejected_stay_one_text_written_twice(made):
    for each in made[1.0]:
        chosen, rejected = (skeletons.mask_decision(text) for text in answers_of(each))
        assert chosen == rejected
        assert leakage.DECISION.search(note_of(each)[0]) is None


def test_a_decision_that_comes_first_is_the_first_word_of_an_answer(made):
    first = list(
        preferences.build(dataclasses.replace(PART, name="made", settings=PART.settings | {"decision": "first"}))
    )
    for one, other in zip(first, made[None], strict=True):
        assert [re.match(r"BUY|SELL", answer)[0] for answer in answers_of(one)] in (["BUY", "SELL"], ["SELL", "BUY"])
        assert one["prompt"] == other["prompt"] and one["meta"] == other["meta"]
    assert len({skeletons.mask_decision(answers_of(each)[0]) for each in first}) >= 40


def test_as_many_facts_are_told_as_asked_for():
    few = list(preferences.build(dataclasses.replace(PART, settings=PART.settings | {"facts": (2, 3)})))
    many = list(preferences.build(PART))
    assert max(len(prompt_of(each)) for each in few) < sum(len(prompt_of(each)) for each in many) / len(many)


@pytest.mark.parametrize("agreement", [-0.1, 1.1, None])
def test_an_agreement_is_a_share(agreement):
    with pytest.raises(ValidationError, match="agreement"):
        Preferences(kind="preferences", per_symbol=2, note={"agreement": agreement})


def words(text):
    """The words of a text, in lower case."""
    return re.findall(r"[a-z]+", text.lower())


def text_of(tree):
    """All strings in nested lists and dicts, keys left out."""
    if isinstance(tree, str):
        return [tree]
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else []
    return [text for child in children for text in text_of(child)]
