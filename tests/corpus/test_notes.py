"""Questions on notes: as many up as down, each once, of the notes that pairs end with."""

import re
from collections import Counter

import pytest

from scripts.common.errors import StudyError
from scripts.corpus import samples, splits, templates
from scripts.corpus.kinds import notes, preferences
from scripts.corpus.parts import Part
from scripts.llm import evaluations
from scripts.llm.evaluations import questions
from tests.corpus.conversations import market_part

NOTES = templates.load("preferences")["notes"]


def build(number=900):
    return list(notes.build(Part("notes", {"kind": "notes", "samples": number}, 7)))


def note_of(sample):
    """The note that a question on it ends with."""
    about = sample["meta"]["note"]
    return NOTES["frames"][about["frame"]].format(note=NOTES["tones"][about["direction"]][about["tone"]])


def test_as_many_point_up_as_down_and_none_is_asked_twice():
    made = build()
    assert Counter(each["meta"]["answer"]["value"] for each in made) == {"up": 450, "down": 450}
    assert len({samples.prompt_of(each) for each in made}) == 900
    assert all(samples.prompt_of(each).endswith(note_of(each)) for each in made)


def test_an_answer_names_direction_and_tone_and_is_judged_right():
    for each in build():
        (answer,), asked = samples.answers_of(each), questions.as_question(each)
        about = each["meta"]["note"]
        assert NOTES["tones"][about["direction"]][about["tone"]] in answer
        assert re.match(r"Up|Down", answer)[0].lower() == about["direction"] == asked["answer"]["value"]
        assert questions.scoring.judge(answer, asked["answer"], True)["right"] == 1


def test_no_question_on_a_note_of_the_test_part_is_trained_on_but_its_tone_is():
    parts = splits.split(build(), validation=0.05, test=0.2)
    trained, tested = ({note_of(each) for each in parts[name]} for name in ("train", "test"))
    assert tested and not trained & tested
    tones = {name: {evaluations.tone_of(each["meta"]) for each in parts[name]} for name in parts}
    assert tones["test"] <= tones["train"] and len(tones["train"]) == 16


def test_questions_and_pairs_have_the_same_notes():
    """A model that was trained on pairs has met the notes of the test part, as the page says."""
    part = market_part("preferences", 300)
    part.settings["note"] = {"agreement": 0.5}
    told = {evaluations.tone_of(each["meta"]) for each in preferences.build(part)}
    assert told == {evaluations.tone_of(each["meta"]) for each in build()}


def test_more_than_there_are_is_an_error():
    with pytest.raises(StudyError, match="part notes: 1280 questions on notes can be made.*lower samples"):
        build(1281)
    assert len(build(1280)) == 1280
