"""Curricula: exact mixes, no sample twice, and no silent shortfall."""

from collections import Counter

import pytest

from scripts.common.errors import StudyError
from scripts.corpus import curricula
from scripts.corpus.questions import DIFFICULTIES
from tests.corpus.conversations import talk

# those of the source system
PHASES = {
    "A": {"samples": 389, "easy": 0.35, "medium": 0.35, "hard": 0.25, "extreme": 0.05, "order": "blocks"},
    "B": {"samples": 4809, "easy": 0.2, "medium": 0.4, "hard": 0.3, "extreme": 0.1, "order": "mixed"},
    "C": {"samples": 2000, "easy": 0.1, "medium": 0.25, "hard": 0.35, "extreme": 0.3, "order": "mixed"},
}


def pool(easy, medium, hard, extreme):
    counts = dict(zip(DIFFICULTIES, (easy, medium, hard, extreme), strict=True))
    return [
        talk(f"{difficulty}{n}", "a", f"{difficulty}{n}", difficulty=difficulty, domain=f"d{n % 3}")
        for difficulty, number in counts.items()
        for n in range(number)
    ]


def until(phase):
    names = list(PHASES)
    return {name: PHASES[name] for name in names[: names.index(phase) + 1]}


def test_the_mixes_of_the_source_system_to_the_sample():
    made = pool(1400, 2700, 2400, 1200)
    seen = set()
    mixes = {"A": (136, 136, 97, 20), "B": (962, 1923, 1443, 481), "C": (200, 500, 700, 600)}
    for name, mix in mixes.items():
        drawn, account = curricula.draw(made, until(name), "error", 7)
        assert tuple(Counter(each["meta"]["difficulty"] for each in drawn)[d] for d in DIFFICULTIES) == mix
        assert tuple(account["buckets"][d]["taken"] for d in DIFFICULTIES) == mix
        ids = {each["meta"]["id"] for each in drawn}
        assert len(ids) == PHASES[name]["samples"] and not ids & seen
        seen |= ids


def test_shares_add_up_for_any_size():
    for samples in range(1, 200):
        assert sum(curricula.shares(PHASES["A"] | {"samples": samples}).values()) == samples


def test_a_shortfall_is_an_error_that_names_the_bucket():
    with pytest.raises(StudyError, match=r"phase A .*extreme: 20 wanted, 4 there"):
        curricula.draw(pool(500, 500, 500, 4), until("A"), "error", 7)


def test_a_reallocation_is_recorded_and_goes_to_the_nearest_difficulty():
    drawn, account = curricula.draw(pool(500, 500, 100, 4), until("A"), "reallocate", 7)
    assert len(drawn) == 389
    assert account["reallocated"] == [
        {"from": "extreme", "to": "hard", "samples": 3},
        {"from": "extreme", "to": "medium", "samples": 13},
    ]
    assert account["buckets"]["extreme"] == {"wanted": 20, "available": 4, "taken": 4}


def test_more_than_there_is_cannot_be_reallocated():
    with pytest.raises(StudyError, match="wants 389 samples and 40 are left"):
        curricula.draw(pool(10, 10, 10, 10), until("A"), "reallocate", 7)


def test_blocks_go_domain_by_domain_from_easy_to_extreme():
    drawn, _ = curricula.draw(pool(300, 300, 300, 300), until("A"), "error", 7)
    keys = [(each["meta"]["domain"], DIFFICULTIES.index(each["meta"]["difficulty"])) for each in drawn]
    assert keys == sorted(keys)


def test_a_mixed_phase_is_mixed_throughout():
    drawn, _ = curricula.draw(pool(1400, 2700, 2400, 1200), until("B"), "error", 7)
    first = Counter(each["meta"]["difficulty"] for each in drawn[:500])
    assert all(abs(first[d] / 500 - PHASES["B"][d]) < 0.08 for d in DIFFICULTIES)


def test_a_later_phase_changes_no_earlier_one_and_order_does_not_matter():
    made = pool(1400, 2700, 2400, 1200)
    assert curricula.draw(made, until("A"), "error", 7) == curricula.draw(made[::-1], until("A"), "error", 7)


def test_the_source_systems_own_phase_a_cannot_be_filled_from_its_data():
    """Its log says 35/35/25/5; its phase A drew on federal income tax alone: 0, 310, 75 and 4 samples."""
    with pytest.raises(StudyError, match="easy: 136 wanted, 0 there, hard: 97 wanted, 75 there, extreme: 20 wanted, 4"):
        curricula.draw(pool(0, 310, 75, 4), until("A"), "error", 7)
