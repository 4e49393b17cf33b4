"""Splits share no period, no group, and no held-out entity."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from scripts.corpus import splits
from tests.corpus.conversations import talk


def timed(month, number, entity="e"):
    return talk(
        f"q{month}{number}{entity}",
        "a",
        f"{month}-{number}-{entity}",
        time=f"2021-{month:02d}-05",
        group=f"2021-{month:02d}",
        entity=entity,
    )


def test_the_last_periods_are_test_and_those_before_validation():
    made = [timed(month, number) for number in range(10) for month in (3, 1, 2, 10, 4, 5, 6, 7, 8, 9)]
    found = splits.split(made, validation=0.1, test=0.2)
    assert {name: sorted({each["meta"]["group"] for each in part}) for name, part in found.items()} == {
        "train": [f"2021-{month:02d}" for month in range(1, 8)],
        "validation": ["2021-08"],
        "test": ["2021-09", "2021-10"],
    }


def test_periods_hold_for_all_parts():
    made = [timed(month, number) | {} for month in range(1, 11) for number in range(5)]
    for each in made[::2]:
        each["meta"]["part"] = "other"
    found = splits.split(made, validation=0.1, test=0.2)
    groups = [{each["meta"]["group"] for each in part} for part in found.values()]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]


def test_held_out_entities_are_in_the_test_part_only():
    made = [timed(month, 1, entity) for month in range(1, 11) for entity in ("EURUSD", "GBPJPY")]
    found = splits.split(made, validation=0.1, test=0.1, entities=["GBPJPY"])
    assert {each["meta"]["entity"] for each in found["train"] + found["validation"]} == {"EURUSD"}
    assert Counter(each["meta"]["entity"] for each in found["test"])["GBPJPY"] == 10


@given(
    groups=st.lists(st.integers(0, 12), min_size=1, max_size=120),
    validation=st.floats(0, 0.3),
    test=st.floats(0, 0.3),
)
def test_groups_are_never_shared_and_nothing_is_lost(groups, validation, test):
    made = [talk(f"q{n}", "a", str(n), group=f"g{group}") for n, group in enumerate(groups)]
    found = splits.split(made, validation=validation, test=test)
    assert sorted(each["meta"]["id"] for part in found.values() for each in part) == sorted(
        e["meta"]["id"] for e in made
    )
    seen = [{each["meta"]["group"] for each in part} for part in found.values()]
    assert sum(map(len, seen)) == len(set.union(*seen))
    largest = max(Counter(groups).values())
    assert len(found["test"]) <= test * len(made) + largest


def test_a_part_does_not_move_the_groups_of_another():
    made = [talk(f"q{n}", "a", str(n), group=f"g{n % 20}") for n in range(200)]
    more = [talk(f"r{n}", "a", f"r{n}", group=f"h{n % 9}", part="other") for n in range(90)]
    alone, both = (splits.split(each, validation=0.1, test=0.1) for each in (made, made + more))
    for name in alone:
        assert alone[name] == [each for each in both[name] if each["meta"]["part"] == "made"]
